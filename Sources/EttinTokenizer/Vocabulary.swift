/// The tokens of a model by text and by id.
///
/// Keyed by bytes: `String` compares by canonical equivalence and would merge different tokens.
final class Vocabulary: Sendable {
    /// Ids above this would make the id tables unreasonably large; real vocabularies stay below 2²⁰.
    static let largestID = 1 << 24

    /// Texts of all tokens in file order, one behind the other.
    private let textBytes: SharedTable<UInt8>
    private let textStarts: SharedTable<UInt32>
    private let idsByEntry: SharedTable<Int32>
    /// Entry of each id, −1 for ids that do not occur.
    private let entriesByID: SharedTable<Int32>
    /// Open addressing: entry + 1, or 0 for an empty slot.
    private let slots: SharedTable<UInt32>
    private let slotMask: Int

    /// The number of tokens.
    let count: Int
    /// One more than the largest id.
    var idLimit: Int { entriesByID.count }

    fileprivate init(
        textBytes: SharedTable<UInt8>,
        textStarts: SharedTable<UInt32>,
        idsByEntry: SharedTable<Int32>,
        entriesByID: SharedTable<Int32>,
        slots: SharedTable<UInt32>
    ) {
        self.textBytes = textBytes
        self.textStarts = textStarts
        self.idsByEntry = idsByEntry
        self.entriesByID = entriesByID
        self.slots = slots
        slotMask = slots.count - 1
        count = idsByEntry.count
    }

    /// The id of a token as the file writes it.
    func id(of text: UnsafeBufferPointer<UInt8>) -> Int32? {
        guard let base = text.baseAddress else { return withUnsafePointer(to: 0 as UInt8) { id($0, 0) } }
        return id(base, text.count)
    }

    /// The id of a token.
    func id(of text: [UInt8]) -> Int32? {
        text.withUnsafeBufferPointer { id(of: $0) }
    }

    /// The id of a token.
    func id(_ text: UnsafePointer<UInt8>, _ length: Int) -> Int32? {
        var slot = Int(truncatingIfNeeded: hashBytes(text, length)) & slotMask
        while slots[slot] != 0 {
            let entry = Int(slots[slot]) - 1
            let start = Int(textStarts[entry])
            if Int(textStarts[entry + 1]) - start == length,
                equalBytes(textBytes.pointer + start, text, length)
            {
                return idsByEntry[entry]
            }
            slot = (slot + 1) & slotMask
        }
        return nil
    }

    /// The text of a token as the file writes it.
    func text(of id: Int) -> UnsafeBufferPointer<UInt8>? {
        guard id >= 0, id < entriesByID.count, entriesByID[id] >= 0 else { return nil }
        return text(entry: Int(entriesByID[id]))
    }

    /// Tokens with ids in file order.
    func forEachInFileOrder(_ body: (UnsafeBufferPointer<UInt8>, Int32) -> Void) {
        for entry in 0..<count { body(text(entry: entry), idsByEntry[entry]) }
    }

    private func text(entry: Int) -> UnsafeBufferPointer<UInt8> {
        let start = Int(textStarts[entry])
        return UnsafeBufferPointer(start: textBytes.pointer + start, count: Int(textStarts[entry + 1]) - start)
    }
}

@inline(__always)
func equalBytes(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    for position in 0..<count where left[position] != right[position] { return false }
    return true
}

/// Collects the tokens of a vocabulary.
struct VocabularyBuilder {
    /// Why a token was refused.
    enum Problem: Error {
        case duplicateText
        case duplicateID
        case idOutOfRange
        case tooLarge
    }

    private var textBytes: [UInt8] = []
    private var textStarts: [UInt32] = [0]
    private var ids: [Int32] = []
    private var largestID = -1

    init(expectedCount: Int = 0) {
        textBytes.reserveCapacity(expectedCount * 8)
        textStarts.reserveCapacity(expectedCount + 1)
        ids.reserveCapacity(expectedCount)
    }

    /// The number of tokens so far.
    var count: Int { ids.count }

    mutating func append(_ text: UnsafeBufferPointer<UInt8>, id: Int) throws(Problem) {
        guard id >= 0, id <= Vocabulary.largestID else { throw .idOutOfRange }
        guard textBytes.count + text.count < Int(UInt32.max) else { throw .tooLarge }
        textBytes.append(contentsOf: text)
        textStarts.append(UInt32(textBytes.count))
        ids.append(Int32(id))
        largestID = max(largestID, id)
    }

    mutating func append(_ text: [UInt8], id: Int) throws(Problem) {
        let result = text.withUnsafeBufferPointer { buffer in
            Result { () throws(Problem) in try append(buffer, id: id) }
        }
        try result.get()
    }

    /// The largest id that so many tokens may have: tables by id take memory that a gap does not pay for.
    var idLimit: Int { (1 << 20) + 4 * count }

    /// Builds the tables; on a problem, says which entry has it.
    ///
    /// - Parameter allowsDuplicates: Whether a text may occur again, with the later id counting, as in Unigram models.
    /// - Returns: The vocabulary, or the first entry that contradicts another.
    func build(allowsDuplicates: Bool = false) -> Result<Vocabulary, BuildError> {
        if largestID > idLimit, let entry = ids.firstIndex(of: Int32(largestID)) {
            return .failure(BuildError(entry: entry, problem: .idOutOfRange))
        }
        var slotCount = 16
        while slotCount < ids.count * 2 { slotCount *= 2 }
        let slots = MutableTable<UInt32>(capacity: slotCount)
        let entriesByID = MutableTable<Int32>(repeating: -1, count: largestID + 1)
        let failure: BuildError? = textBytes.withUnsafeBufferPointer { bytes in
            withUnsafePointer(to: 0 as UInt8) { empty in
                let base = bytes.baseAddress ?? empty
                for entry in 0..<ids.count {
                    let start = Int(textStarts[entry])
                    let length = Int(textStarts[entry + 1]) - start
                    var slot = Int(truncatingIfNeeded: hashBytes(base + start, length)) & (slotCount - 1)
                    probing: while slots[slot] != 0 {
                        let other = Int(slots[slot]) - 1
                        let otherStart = Int(textStarts[other])
                        if Int(textStarts[other + 1]) - otherStart == length,
                            equalBytes(base + otherStart, base + start, length)
                        {
                            if allowsDuplicates { break probing }
                            return BuildError(entry: entry, problem: .duplicateText)
                        }
                        slot = (slot + 1) & (slotCount - 1)
                    }
                    slots[slot] = UInt32(entry + 1)
                    let id = Int(ids[entry])
                    guard entriesByID[id] < 0 else { return BuildError(entry: entry, problem: .duplicateID) }
                    entriesByID[id] = Int32(entry)
                }
                return nil
            }
        }
        if let failure { return .failure(failure) }
        return .success(
            Vocabulary(
                textBytes: SharedTable(textBytes),
                textStarts: SharedTable(textStarts),
                idsByEntry: SharedTable(ids),
                entriesByID: entriesByID.frozen(),
                slots: slots.frozen()
            )
        )
    }

    /// The text of an entry, for messages.
    func text(entry: Int) -> String {
        String(decoding: textBytes[Int(textStarts[entry])..<Int(textStarts[entry + 1])], as: UTF8.self)
    }

    /// The id of an entry, for messages.
    func id(entry: Int) -> Int { Int(ids[entry]) }

    /// The entry at which a vocabulary contradicts itself.
    struct BuildError: Error {
        let entry: Int
        let problem: Problem
    }
}
