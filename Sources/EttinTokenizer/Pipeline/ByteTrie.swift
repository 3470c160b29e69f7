/// Texts by their bytes, for finding all that begin at a position.
final class ByteTrie: Sendable {
    /// Children by node and byte: open addressing, node · 256 + byte + 1, or 0 for an empty slot.
    private let keys: SharedTable<UInt64>
    private let children: SharedTable<Int32>
    /// The value of each node, −1 for none.
    private let values: SharedTable<Int32>
    /// Children of the root by byte, −1 for none.
    private let roots: SharedTable<Int32>
    private let mask: Int
    private let shift: UInt64

    /// Builds a trie; of two equal texts the later one's value counts.
    ///
    /// - Parameter forEach: Calls its argument with each text and its value.
    init(_ forEach: ((UnsafeBufferPointer<UInt8>, Int32) -> Void) -> Void) {
        var bits: UInt64 = 8
        var byteCount = 0
        forEach { text, _ in byteCount += text.count }
        // There are at most as many nodes as bytes; half of the slots stay empty.
        while 1 << bits < byteCount * 2 { bits += 1 }
        let keys = MutableTable<UInt64>(capacity: 1 << bits)
        let children = MutableTable<Int32>(capacity: 1 << bits)
        let roots = MutableTable<Int32>(repeating: -1, count: 256)
        let mask = 1 << bits - 1
        let shift = 64 - bits
        var values: [Int32] = []
        forEach { text, value in
            guard let first = text.first else { return }
            if roots[Int(first)] < 0 {
                roots[Int(first)] = Int32(values.count)
                values.append(-1)
            }
            var node = roots[Int(first)]
            for byte in text.dropFirst() {
                let key = Self.key(node, byte)
                var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
                while keys[slot] != 0, keys[slot] != key { slot = (slot + 1) & mask }
                if keys[slot] == 0 {
                    keys[slot] = key
                    children[slot] = Int32(values.count)
                    values.append(-1)
                }
                node = children[slot]
            }
            values[Int(node)] = value
        }
        self.keys = keys.frozen()
        self.children = children.frozen()
        self.values = SharedTable(values)
        self.roots = roots.frozen()
        self.mask = mask
        self.shift = shift
    }

    @inline(__always)
    private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 {
        (UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte)) + 1
    }

    /// The node of a text of one byte; negative when nothing begins with it.
    @inline(__always)
    func root(_ byte: UInt8) -> Int32 { roots.pointer[Int(byte)] }

    /// The node behind another; negative when there is none.
    @inline(__always)
    func child(_ node: Int32, _ byte: UInt8) -> Int32 {
        let key = Self.key(node, byte)
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
        while true {
            let found = keys.pointer[slot]
            if found == key { return children.pointer[slot] }
            if found == 0 { return -1 }
            slot = (slot + 1) & mask
        }
    }

    /// The value of the text that ends at a node; −1 when none does.
    @inline(__always)
    func value(_ node: Int32) -> Int32 { values.pointer[Int(node)] }

    /// The longest text that begins at a position.
    ///
    /// - Returns: Its value and length, or nil.
    func longestMatch(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> (value: Int32, length: Int)? {
        var best: (value: Int32, length: Int)?
        var position = start + 1
        var node = root(text[start])
        while node >= 0 {
            let value = value(node)
            if value >= 0 { best = (value, position - start) }
            guard position < end else { break }
            node = child(node, text[position])
            position += 1
        }
        return best
    }
}
