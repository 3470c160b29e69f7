// The nested types are internal because a private one in a noncopyable struct crashes the compiler (Swift 6.3.1, debug).

/// Remembers the ids of words already seen, in bounded memory.
///
/// Text repeats its words, so most of them never reach the merge rules. Words of up to 16 bytes are their own key, held
/// in two machine words; longer ones up to `longestWord` are kept in an arena. Old entries give way to new ones.
struct WordCache: ~Copyable {
    /// Longer words repeat too rarely to be worth remembering.
    static let longestWord = 64
    private static let inlineIDs = 3

    struct Slot: BitwiseCopyable {
        var low: UInt64
        var high: UInt64
        /// Bytes of the word; 0 marks an empty slot.
        var length: UInt8
        var count: UInt16
        /// The ids, or the place of the ids in the arena when there are more.
        var first: Int32
        var second: Int32
        var third: Int32
    }

    struct LongSlot: BitwiseCopyable {
        var hash: UInt64
        var keyStart: UInt32
        /// Bytes of the word; 0 marks an empty slot.
        var length: UInt32
        var idStart: UInt32
        var count: UInt32
    }

    private let slots: MutableTable<Slot>
    private let longSlots: MutableTable<LongSlot>
    private let slotMask: Int
    private let longMask: Int
    private var idArena = Scratch<Int32>()
    private var keyArena = Scratch<UInt8>()
    private static let arenaLimit = 1 << 20

    init() {
        let slotCount = 1 << 16
        let longCount = 1 << 14
        slots = MutableTable(capacity: slotCount)
        longSlots = MutableTable(capacity: longCount)
        slotMask = slotCount - 2
        longMask = longCount - 2
    }

    /// A word in the form it is looked up by.
    struct Key {
        let low: UInt64
        let high: UInt64
        let hash: UInt64
    }

    /// Makes the key of a word.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - start: Start of the word.
    ///   - length: Bytes of the word, at least 1.
    ///   - readable: End of the memory that may be read.
    /// - Returns: The key.
    @inline(__always)
    static func key(_ text: UnsafePointer<UInt8>, _ start: Int, _ length: Int, readable: Int) -> Key {
        if length > 16 {
            return Key(low: 0, high: 0, hash: hashBytes(text + start, length))
        }
        var low: UInt64 = 0
        var high: UInt64 = 0
        if start + 16 <= readable {
            let raw = UnsafeRawPointer(text + start)
            low = UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))
            if length < 8 {
                low &= (1 &<< UInt64(truncatingIfNeeded: length &* 8)) &- 1
            } else if length > 8 {
                high = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                if length < 16 { high &= (1 &<< UInt64(truncatingIfNeeded: (length &- 8) &* 8)) &- 1 }
            }
        } else {
            for position in 0..<length {
                let byte = UInt64(text[start + position])
                if position < 8 {
                    low |= byte &<< UInt64(position &* 8)
                } else {
                    high |= byte &<< UInt64((position &- 8) &* 8)
                }
            }
        }
        var hash = (low ^ (high &* 0xC4CE_B9FE_1A85_EC53) ^ UInt64(truncatingIfNeeded: length)) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash &>> 32
        return Key(low: low, high: high, hash: hash)
    }

    /// Appends the ids of a word when it is known.
    @inline(__always)
    func lookUp(_ key: Key, _ word: UnsafePointer<UInt8>, _ length: Int, into ids: inout Scratch<Int32>) -> Bool {
        guard length <= 16 else { return lookUpLong(key, word, length, into: &ids) }
        var index = Int(truncatingIfNeeded: key.hash) & slotMask
        for _ in 0..<2 {
            let slot = slots.pointer + index
            if slot.pointee.low == key.low, slot.pointee.high == key.high, Int(slot.pointee.length) == length {
                let count = Int(slot.pointee.count)
                if count == 1 {
                    ids.append(slot.pointee.first)
                } else if count <= Self.inlineIDs {
                    ids.append(slot.pointee.first)
                    ids.append(slot.pointee.second)
                    if count == 3 { ids.append(slot.pointee.third) }
                } else {
                    ids.append(from: idArena.pointer + Int(slot.pointee.first), count: count)
                }
                return true
            }
            index |= 1
        }
        return false
    }

    private func lookUpLong(
        _ key: Key,
        _ word: UnsafePointer<UInt8>,
        _ length: Int,
        into ids: inout Scratch<Int32>
    ) -> Bool {
        guard length <= Self.longestWord else { return false }
        var index = Int(truncatingIfNeeded: key.hash) & longMask
        for _ in 0..<2 {
            let slot = longSlots[index]
            if slot.hash == key.hash, Int(slot.length) == length,
                equalBytes(keyArena.pointer + Int(slot.keyStart), word, length)
            {
                ids.append(from: idArena.pointer + Int(slot.idStart), count: Int(slot.count))
                return true
            }
            index |= 1
        }
        return false
    }

    /// Remembers a word; an older one may be forgotten.
    mutating func insert(
        _ key: Key,
        _ word: UnsafePointer<UInt8>,
        _ length: Int,
        ids: UnsafePointer<Int32>,
        count: Int
    ) {
        guard length <= Self.longestWord, count > 0 else { return }
        if idArena.count + count > Self.arenaLimit || keyArena.count + length > Self.arenaLimit { forgetAll() }
        if length > 16 {
            var index = Int(truncatingIfNeeded: key.hash) & longMask
            if longSlots[index].length != 0 {
                // The newest two words of a pair of slots stay.
                longSlots[index | 1] = longSlots[index]
            }
            index &= longMask
            longSlots[index] = LongSlot(
                hash: key.hash,
                keyStart: UInt32(keyArena.count),
                length: UInt32(length),
                idStart: UInt32(idArena.count),
                count: UInt32(count)
            )
            keyArena.append(from: word, count: length)
            idArena.append(from: ids, count: count)
            return
        }
        let index = Int(truncatingIfNeeded: key.hash) & slotMask
        if slots[index].length != 0 { slots[index | 1] = slots[index] }
        var slot = Slot(
            low: key.low,
            high: key.high,
            length: UInt8(length),
            count: UInt16(count),
            first: ids[0],
            second: count > 1 ? ids[1] : 0,
            third: count > 2 ? ids[2] : 0
        )
        if count > Self.inlineIDs {
            slot.first = Int32(idArena.count)
            idArena.append(from: ids, count: count)
        }
        slots[index] = slot
    }

    private mutating func forgetAll() {
        for index in 0..<slots.count where slots[index].length != 0 { slots.pointer[index].length = 0 }
        for index in 0..<longSlots.count where longSlots[index].length != 0 { longSlots.pointer[index].length = 0 }
        idArena.removeAll()
        keyArena.removeAll()
    }
}
