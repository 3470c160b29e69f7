/// How often each word occurs in a training text.
struct WordCounts: ~Copyable {
    private var bytes = Scratch<UInt8>(capacity: 1 << 16)
    private var entries = Scratch<Entry>(capacity: 1 << 12)
    private var slots = MutableTable<UInt32>(capacity: 1 << 13)

    struct Entry: BitwiseCopyable {
        let start: Int
        let length: Int
        let hash: UInt64
        var count: Int
    }

    /// The number of different words.
    var count: Int { entries.count }

    func entry(_ index: Int) -> (word: UnsafeBufferPointer<UInt8>, count: Int) {
        let entry = entries[index]
        return (UnsafeBufferPointer(start: bytes.pointer + entry.start, count: entry.length), entry.count)
    }

    /// Counts a word.
    mutating func add(_ word: UnsafePointer<UInt8>, _ length: Int, times: Int = 1) {
        if entries.count * 2 >= slots.count { grow() }
        let hash = hashBytes(word, length)
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            let entry = entries.pointer + index
            if entry.pointee.hash == hash, entry.pointee.length == length,
                equalBytes(bytes.pointer + entry.pointee.start, word, length)
            {
                entry.pointee.count += times
                return
            }
            slot = (slot + 1) & mask
        }
        slots[slot] = UInt32(entries.count + 1)
        entries.append(Entry(start: bytes.count, length: length, hash: hash, count: times))
        bytes.append(from: word, count: length)
    }

    /// Counts the words of other counts too.
    mutating func add(_ other: borrowing WordCounts) {
        for index in 0..<other.count {
            let (word, count) = other.entry(index)
            if let base = word.baseAddress { add(base, word.count, times: count) }
        }
    }

    private mutating func grow() {
        let larger = MutableTable<UInt32>(capacity: slots.count * 2)
        for index in 0..<entries.count {
            var slot = Int(truncatingIfNeeded: entries[index].hash) & (larger.count - 1)
            while larger[slot] != 0 { slot = (slot + 1) & (larger.count - 1) }
            larger[slot] = UInt32(index + 1)
        }
        slots = larger
    }
}

/// Counts the words of texts on one thread.
///
/// `@unchecked Sendable`: a counter is used by one thread at a time, and read after all have ended.
final class WordCounter: @unchecked Sendable {
    var counts = WordCounts()
    private let scanner = WordScanner()
    private let composesCanonically: Bool
    private let addsPrefixSpace: Bool
    private var composer = CanonicalComposer()
    private var prefixed = Scratch<UInt8>()

    init(composesCanonically: Bool, addsPrefixSpace: Bool) {
        self.composesCanonically = composesCanonically
        self.addsPrefixSpace = addsPrefixSpace
    }

    /// Counts the words of each line of a text, line feeds included, as the original does for files.
    func count(linesOf text: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for position in 0..<text.count where text[position] == UInt8(ascii: "\n") {
            count(UnsafeBufferPointer(rebasing: text[start...position]))
            start = position + 1
        }
        if start < text.count { count(UnsafeBufferPointer(rebasing: text[start...])) }
    }

    /// Counts the words of a text; added tokens are not looked for.
    func count(_ text: UnsafeBufferPointer<UInt8>) {
        guard let base = text.baseAddress, !text.isEmpty else { return }
        var pointer = base
        var count = text.count
        if composesCanonically, !isASCIIText(text), composer.normalize(text, aligning: false) {
            pointer = UnsafePointer(composer.bytes.pointer)
            count = composer.bytes.count
        }
        if addsPrefixSpace, pointer[0] != UInt8(ascii: " ") {
            prefixed.removeAll()
            prefixed.append(UInt8(ascii: " "))
            prefixed.append(from: pointer, count: count)
            pointer = UnsafePointer(prefixed.pointer)
            count = prefixed.count
        }
        var position = 0
        while position < count {
            let end = scanner.wordEnd(pointer, from: position, to: count)
            counts.add(pointer + position, end - position)
            position = end
        }
    }
}
