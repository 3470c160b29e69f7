/// Changes bytes in the ways in which files are damaged or forged.
enum ByteMutation {
    private static let lengthLimit = 1 << 16

    /// Changes up to four places; mostly one.
    static func mutated(_ input: [UInt8], _ dice: inout Dice) -> [UInt8] {
        var bytes = input
        for _ in 0..<dice.pick([1, 1, 1, 2, 2, 3, 4]) { change(&bytes, &dice) }
        return bytes
    }

    private static func change(_ bytes: inout [UInt8], _ dice: inout Dice) {
        guard !bytes.isEmpty else {
            bytes = [UInt8(truncatingIfNeeded: dice.next())]
            return
        }
        let place = dice.below(bytes.count)
        switch dice.below(10) {
        case 0: bytes[place] ^= 1 << UInt8(dice.below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: dice.next())
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: dice.next()), at: place)
        case 4: bytes.removeLast(bytes.count - place)
        case 5:
            let value = UInt64(bitPattern: Int64(dice.pick(Hostile.integers)))
            for offset in 0..<dice.pick([1, 2, 4, 8]) where place + offset < bytes.count {
                bytes[place + offset] = UInt8(truncatingIfNeeded: value >> UInt64(8 * offset))
            }
        case 6: bytes.replaceSubrange(place..<place, with: Array(dice.pick(Hostile.words).utf8))
        case 7: replaceNumber(&bytes, from: place, with: Array(dice.pick(Hostile.numbers).utf8))
        case 8:
            let end = min(bytes.count, place + 1 + dice.below(40))
            let stretch = Array(bytes[place..<end])
            for _ in 0..<dice.pick([1, 2, 50]) { bytes.insert(contentsOf: stretch, at: place) }
        default: bytes.removeSubrange(place..<min(bytes.count, place + 1 + dice.below(40)))
        }
        if bytes.count > lengthLimit { bytes.removeLast(bytes.count - lengthLimit) }
    }

    private static func replaceNumber(_ bytes: inout [UInt8], from place: Int, with text: [UInt8]) {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: text)
    }
}

/// Little-endian bytes of a number.
func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
