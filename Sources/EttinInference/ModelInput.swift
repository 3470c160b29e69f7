import EttinModel
import EttinTokenizer
public import Torch

/// Where and in which precision a model computes.
public struct ComputeOptions: Sendable, Hashable {
    /// The device that holds the model.
    public var device: Device
    /// The type of weights and hidden states; nil for that of the files.
    public var dtype: DType?

    /// Creates options.
    ///
    /// - Parameters:
    ///   - device: The device that holds the model.
    ///   - dtype: The type of weights and hidden states; nil for that of the files.
    public init(device: Device = .cpu, dtype: DType? = nil) {
        self.device = device
        self.dtype = dtype
    }
}

/// What becomes of a text with more tokens than the model serves.
public enum OverlongTextRule: String, Sendable, Hashable, CaseIterable {
    /// It is an error.
    case refuse
    /// Tokens are left out at the end; special tokens stay.
    case keepStart
    /// Tokens are left out at the start; special tokens stay.
    case keepEnd
}

/// A text as token ids.
struct PreparedText {
    var ids: [Int32]
    var isTruncated = false
}

/// Turns texts into token ids of lengths that a model serves.
struct TextPreparation {
    let tokenizer: Tokenizer
    /// The most tokens of a text, special ones included.
    let limit: Int
    /// Whether special tokens behind a text are left out, so that a decoder can continue it.
    var isOpenEnded = false

    /// The lower of what tokenizer and configuration allow.
    static func limit(_ tokenizer: Tokenizer, _ configuration: ModernBERTConfiguration) -> Int {
        min(tokenizer.modelMaxLength ?? .max, configuration.maxPositionEmbeddings)
    }

    /// Encodes texts on all threads.
    ///
    /// - Throws: ``InferenceError/overlongText(number:tokens:limit:)`` for the first text that is too long, if so asked.
    func prepare(_ texts: [String], overlong rule: OverlongTextRule) throws -> [PreparedText] {
        let threads = TorchRuntime.threadCount
        if isOpenEnded {
            return try tokenizer.encodeBatch(texts, threads: threads).enumerated().map {
                try shortened($1, number: $0 + 1, rule)
            }
        }
        return try tokenizer.encodeIDsBatch(texts, threads: threads).enumerated().map { index, ids in
            if ids.count <= limit { return PreparedText(ids: ids) }
            return try shortened(tokenizer.encode(texts[index]), number: index + 1, rule)
        }
    }

    private func shortened(_ encoding: Encoding, number: Int, _ rule: OverlongTextRule) throws -> PreparedText {
        let added = encoding.specialTokensMask
        let front = added.prefix { $0 }.count
        let back = front == added.count ? 0 : added.reversed().prefix { $0 }.count
        let ids = encoding.ids.dropLast(isOpenEnded ? back : 0)
        let kept = isOpenEnded ? 0 : back
        guard ids.count > limit else { return PreparedText(ids: Array(ids)) }
        let room = limit - front - kept
        guard rule != .refuse, room >= 0 else {
            throw InferenceError.overlongText(number: number, tokens: ids.count, limit: limit)
        }
        let content = ids.dropFirst(front).dropLast(kept)
        let part = rule == .keepStart ? content.prefix(room) : content.suffix(room)
        return PreparedText(ids: ids.prefix(front) + part + ids.suffix(kept), isTruncated: true)
    }
}

/// Groups texts of similar length into batches of bounded size.
///
/// Sequences are never padded; similar lengths keep attention in few large calls.
enum LengthBatches {
    /// Splits the indices of texts, longest first.
    ///
    /// - Parameters:
    ///   - lengths: The number of tokens of each text.
    ///   - maxTokens: The most tokens of a batch; a longer text is a batch of its own.
    ///   - maxSequences: The most texts of a batch.
    /// - Returns: Indices by batch.
    static func split(_ lengths: [Int], maxTokens: Int, maxSequences: Int = .max) -> [[Int]] {
        // Equal lengths keep their order, so that results do not depend on how the sort breaks ties.
        let order = lengths.indices.sorted { (lengths[$1], $0) < (lengths[$0], $1) }
        var batches: [[Int]] = []
        var tokens = 0
        for index in order {
            if let last = batches.last, last.count < maxSequences, tokens + lengths[index] <= maxTokens {
                batches[batches.count - 1].append(index)
                tokens += lengths[index]
            } else {
                batches.append([index])
                tokens = lengths[index]
            }
        }
        return batches
    }
}
