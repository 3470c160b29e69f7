/// The character map of a SentencePiece model: a double array from texts to their replacements.
final class PrecompiledMap: Sendable {
    /// A character of the result, and by how many characters it is longer (> 0) or shorter than what it replaces.
    struct Change {
        let scalar: UInt32
        var change: Int
    }

    private let units: SharedTable<UInt32>
    private let texts: SharedTable<UInt8>

    /// Clusters from this many bytes on are looked up character by character.
    private static let longestCluster = 6

    /// Reads a map; nil when sizes or texts are impossible.
    ///
    /// - Parameter bytes: The size of the double array in bytes as a little-endian number, the array, the texts with a
    ///   zero byte behind each.
    init?(_ bytes: [UInt8]) {
        func word(_ position: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[position + $1]) << UInt32($1 * 8) }
        }
        guard bytes.count >= 4 else { return nil }
        let size = Int(word(0))
        guard size >= 4, size % 4 == 0, size <= bytes.count - 4 else { return nil }
        let texts = bytes[(4 + size)...]
        guard String(validating: texts, as: UTF8.self) != nil else { return nil }
        units = SharedTable((0..<size / 4).map { word(4 + $0 * 4) })
        self.texts = SharedTable(Array(texts))
    }

    /// Normalises a text.
    ///
    /// - Parameters:
    ///   - text: Valid UTF-8.
    ///   - changes: Takes the characters of the result.
    /// - Returns: Whether anything was replaced.
    func normalize(_ text: UnsafeBufferPointer<UInt8>, into changes: inout [Change]) -> Bool {
        var isModified = false
        var position = 0
        while position < text.count {
            let end = clusterEnd(text, position)
            if end - position < Self.longestCluster, let found = replacement(text, position, end) {
                isModified = true
                append(found, replacing: characters(text, position, end), to: &changes)
                position = end
                continue
            }
            while position < end {
                let (scalar, next) = decodeScalar(text, position)
                if let found = replacement(text, position, next) {
                    isModified = true
                    append(found, replacing: 1, to: &changes)
                } else {
                    changes.append(Change(scalar: scalar, change: 0))
                }
                position = next
            }
        }
        return isModified
    }

    private func append(_ text: UnsafeBufferPointer<UInt8>, replacing oldCount: Int, to changes: inout [Change]) {
        var newCount = 0
        var position = 0
        while position < text.count {
            let (scalar, next) = decodeScalar(text, position)
            changes.append(Change(scalar: scalar, change: 0))
            newCount += 1
            position = next
        }
        if newCount > oldCount {
            for index in changes.count - (newCount - oldCount)..<changes.count { changes[index].change = 1 }
        } else if newCount < oldCount, !changes.isEmpty {
            changes[changes.count - 1].change += newCount - oldCount
        }
    }

    private func characters(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int) -> Int {
        (start..<end).count { text[$0] & 0xC0 != 0x80 }
    }

    /// The replacement of the shortest prefix that has one, as the original looks it up.
    private func replacement(
        _ text: UnsafeBufferPointer<UInt8>,
        _ start: Int,
        _ end: Int
    ) -> UnsafeBufferPointer<UInt8>? {
        let units = units.buffer
        var node = offset(units[0])
        for position in start..<end {
            let byte = text[position]
            guard byte != 0 else { return nil }
            node ^= Int(byte)
            guard node < units.count, units[node] & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            let unit = units[node]
            node ^= offset(unit)
            guard node < units.count else { return nil }
            guard unit >> 8 & 1 == 1 else { continue }
            let first = Int(units[node] & 0x7FFF_FFFF)
            // A text begins with a character, not inside of one.
            guard first < texts.count, texts[first] & 0xC0 != 0x80 else { return nil }
            var last = first
            while last < texts.count, texts[last] != 0 { last += 1 }
            return UnsafeBufferPointer(rebasing: texts.buffer[first..<last])
        }
        return nil
    }

    private func offset(_ unit: UInt32) -> Int {
        Int(unit >> 10) << Int((unit & (1 << 9)) >> 6)
    }

    /// The end of a grapheme cluster, exact for clusters that are looked up as a whole.
    ///
    /// Syllables of Hangul, flags and sequences of emoji take six bytes or more, so that they need no rules here.
    private func clusterEnd(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
        let classes = CharacterClasses.shared
        var (scalar, end) = decodeScalar(text, start)
        if scalar == 0x0D, end < text.count, text[end] == 0x0A { return end + 1 }
        guard end < text.count, !(scalar < 0x80 && text[end] < 0x80) else { return end }
        while classes.has(scalar, .clusterPrepended), end < text.count {
            let following = decodeScalar(text, end)
            guard !classes.has(following.scalar, .clusterSeparate) else { return end }
            (scalar, end) = following
        }
        guard !classes.has(scalar, .clusterSeparate) else { return end }
        let base = scalar
        while end < text.count {
            let following = decodeScalar(text, end)
            guard classes.has(following.scalar, .clusterJoining) else { break }
            (scalar, end) = following
        }
        // The two pictographs of two bytes: behind a zero width joiner, another makes the cluster too long to matter.
        if scalar == 0x200D, base == 0xA9 || base == 0xAE, end < text.count {
            let following = decodeScalar(text, end)
            if isPictograph(following.scalar) { return following.next }
        }
        return end
    }

    private func isPictograph(_ scalar: UInt32) -> Bool {
        guard let properties = Unicode.Scalar(scalar)?.properties else { return false }
        // Digits are emoji, but no pictographs.
        return properties.isEmoji && scalar > 0x39 || scalar >= 0x1F000 && scalar < 0x20000
    }
}
