import EttinCorpus
import EttinFiles
import EttinTokenizer
import EttinTraining

/// A text with a gap: an encoder fills it, a decoder continues what stands in front of it.
struct SamplePassage: Hashable, Sendable {
    let before: String
    let after: String
    /// What stood in the gap, where the text is one of the held-out data.
    let answer: String?

    static let mask = "[MASK]"

    /// The text for an encoder.
    var masked: String { before + Self.mask + after }

    /// The text for a decoder, whose tokens carry the space in front of them; nil when there is none.
    var prompt: String? {
        var text = before[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return text.isEmpty ? nil : String(text)
    }

    /// A passage of what a user wrote: the gap is the first mask in it, or lies behind it.
    init(prompt: String) {
        answer = nil
        var end = prompt.endIndex
        var index = prompt.startIndex
        while index < end {
            if prompt[index...].hasPrefix(Self.mask) { end = index } else { index = prompt.index(after: index) }
        }
        let after = prompt[end...].dropFirst(Self.mask.count)
        before = String(prompt[..<end]) + (end == prompt.endIndex ? " " : "")
        self.after = String(after)
    }

    /// A passage from the first words of a text, with a gap for one in the second half of them; nil without such words.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - wordCount: How many words to take.
    init?(text: String, wordCount: Int) {
        let words = text.split(whereSeparator: \.isWhitespace).prefix(wordCount)
        guard words.count >= 4, let first = words.first, let last = words.last else { return nil }
        // A word without what stands around it, such as commas.
        let cores = words.dropFirst(words.count / 2).dropLast().compactMap { word -> Substring? in
            let core = word.drop { !$0.isLetter }
            let end = core.lastIndex(where: \.isLetter).map(core.index(after:)) ?? core.startIndex
            return core[..<end].allSatisfy(\.isLetter) && !core[..<end].isEmpty ? core[..<end] : nil
        }
        guard let gap = cores.first(where: { $0.count >= 5 }) ?? cores.max(by: { $0.count < $1.count }) else {
            return nil
        }
        before = String(text[first.startIndex..<gap.startIndex])
        answer = String(gap)
        after = String(text[gap.endIndex..<last.endIndex])
    }
}

extension SamplePassage {
    /// Passages from held-out data, taken evenly from all of it.
    ///
    /// - Parameters:
    ///   - dataset: The folder of the data.
    ///   - count: How many passages to take, as far as there are texts for them.
    ///   - tokenizer: The tokenizer that the data were made with.
    ///   - folder: Where the tokenizer comes from.
    ///   - tokenLimit: Maximum number of tokens of a passage.
    /// - Returns: The passages.
    /// - Throws: `CorpusError` when the data cannot be read or were made with another tokenizer.
    static func heldOut(
        _ dataset: String,
        count: Int,
        tokenizer: Tokenizer,
        from folder: String,
        tokenLimit: Int
    ) throws -> [SamplePassage] {
        _ = try DatasetTokenizer.check(
            dataset,
            against: tokenizer,
            from: folder,
            expected: "data of the checkpoint's tokenizer, or texts given by --prompt"
        )
        // Into memory, as a report writes nothing but itself.
        let data = try MDSDataset(folder: dataset, decompression: .intoMemory)
        let tried = min(data.sampleCount, 4 * count)
        var passages: [SamplePassage] = []
        for number in 0..<tried where passages.count < count {
            let ids = try data.tokenIDs(at: number * data.sampleCount / tried)
            guard ids.allSatisfy({ $0 >= 0 && Int($0) < tokenizer.vocabularySize }) else {
                throw TrainingError(
                    .malformed,
                    dataset,
                    found: "has token \(ids.max() ?? 0), but the tokenizer has \(tokenizer.vocabularySize)",
                    expected: "data of the checkpoint's tokenizer"
                )
            }
            let text = tokenizer.decode(ids.prefix(400), skipSpecialTokens: true)
            let lengths = [28, 20, 14, 10, 7, 4]
            let fitting = lengths.lazy.compactMap { SamplePassage(text: text, wordCount: $0) }
                .first { tokenizer.encodeIDs($0.masked).count <= tokenLimit }
            if let fitting { passages.append(fitting) }
        }
        return passages
    }
}
