import EttinFiles
import EttinInference
import EttinTables

/// A text with labels on parts of it.
struct TaggedText: Hashable {
    /// A part of the text with its label.
    struct Part: Hashable {
        /// Where it lies, in Unicode scalars.
        let range: Range<Int>
        /// The label of its first token; nil where it does not count.
        let first: Int32?
        /// The label of its other tokens; nil where they do not count.
        let rest: Int32?
    }

    /// The text.
    let text: String
    /// The parts in the order of the text.
    let parts: [Part]
    /// The label of tokens outside of all parts; nil where they do not count.
    let outside: Int32?

    /// The label of tokens that do not count.
    static let ignored: Int32 = -100

    /// The labels of the tokens of a text.
    ///
    /// A token belongs to the part in which its first character that is no white space lies, or to the first part that
    /// begins inside of it.
    ///
    /// > Source: transformers 5.23, `examples/pytorch/token-classification/run_ner.py`, `tokenize_and_align_labels`, with
    /// > offsets in the place of `word_ids`.
    ///
    /// - Parameter window: The tokens of the text.
    /// - Returns: A label for each token of the sequence, special tokens included; ``ignored`` for those that do not count.
    func targets(of window: PreparedTagging.Window) -> [Int32] {
        let scalars = Array(text.unicodeScalars)
        var targets = [Int32](repeating: Self.ignored, count: window.text.tokenIDs.count)
        var (part, previous) = (0, -1)
        for (place, offsets) in zip(window.tokens, window.offsets) {
            let start = offsets.first { !scalars[$0].properties.isWhitespace } ?? offsets.upperBound
            guard start < offsets.upperBound else { continue }
            while part < parts.count, parts[part].range.upperBound <= start { part += 1 }
            guard part < parts.count, parts[part].range.lowerBound < offsets.upperBound else {
                targets[place] = outside ?? Self.ignored
                continue
            }
            targets[place] = (part == previous ? parts[part].rest : parts[part].first) ?? Self.ignored
            previous = part
        }
        return targets
    }
}
