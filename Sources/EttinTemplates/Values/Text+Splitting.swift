// What Python's string methods cut off and apart.

extension Text {
    /// Without white space, or the characters of a text, at its ends.
    func stripped(_ characters: Text? = nil, left: Bool = true, right: Bool = true) -> Text {
        let set = characters.map { Set($0.scalars) }
        func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? scalar.isPythonSpace }
        var (start, end) = (0, bytes.count)
        while left, start < end {
            let next = endOfCharacter(at: start)
            guard let scalar = scalar(start..<next), goes(scalar) else { break }
            start = next
        }
        while right, end > start {
            var previous = end - 1
            while previous > start, bytes[previous] & 0xC0 == 0x80 { previous -= 1 }
            guard let scalar = scalar(previous..<end), goes(scalar) else { break }
            end = previous
        }
        return start == 0 && end == bytes.count ? self : Text(bytes[start..<end])
    }

    private func endOfCharacter(at start: Int) -> Int {
        var end = start + 1
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return end
    }

    private func scalar(_ range: Range<Int>) -> Unicode.Scalar? {
        if range.count == 1 { return Unicode.Scalar(bytes[range.lowerBound]) }
        return Text(bytes[range]).scalars.first
    }

    /// Where a character begins, in bytes; the end for one behind it.
    func byteOffset(ofCharacter position: Int) -> Int {
        var left = position
        var offset = 0
        while left > 0, offset < bytes.count {
            offset = endOfCharacter(at: offset)
            left -= 1
        }
        return offset
    }

    /// Where the character in front of a position begins.
    private func startOfCharacter(before end: Int) -> Int {
        var start = end - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    /// The end of the stretch from a position whose characters are white space, or are not.
    private func endOfStretch(ofSpace isSpace: Bool, from start: Int) -> Int {
        var position = start
        while position < bytes.count {
            let next = endOfCharacter(at: position)
            guard (scalar(position..<next)?.isPythonSpace == true) == isSpace else { break }
            position = next
        }
        return position
    }

    /// The start of the stretch before a position whose characters are white space, or are not.
    private func startOfStretch(ofSpace isSpace: Bool, before end: Int) -> Int {
        var position = end
        while position > 0 {
            let previous = startOfCharacter(before: position)
            guard (scalar(previous..<position)?.isPythonSpace == true) == isSpace else { break }
            position = previous
        }
        return position
    }

    func split(_ separator: Text?, _ limit: Int) -> [Text] { split(separator, limit) {} }

    /// `split`: between separators, or between stretches of white space without one.
    ///
    /// - Parameters:
    ///   - separator: What stands between the parts.
    ///   - limit: How often the text is split; below 0 as often as the separator occurs.
    ///   - note: Is called in front of each part.
    /// - Returns: The parts.
    func split(_ separator: Text?, _ limit: Int, _ note: () throws -> Void) rethrows -> [Text] {
        var left = limit < 0 ? Int.max : limit
        var parts: [Text] = []
        guard let separator else {
            var position = endOfStretch(ofSpace: true, from: 0)
            while position < bytes.count {
                try note()
                let end = left > 0 ? endOfStretch(ofSpace: false, from: position) : bytes.count
                parts.append(Text(bytes[position..<end]))
                position = endOfStretch(ofSpace: true, from: end)
                left -= 1
            }
            return parts
        }
        var position = 0
        while left > 0, let range = firstRange(of: separator, from: position) {
            try note()
            parts.append(Text(bytes[position..<range.lowerBound]))
            position = range.upperBound
            left -= 1
        }
        try note()
        parts.append(Text(bytes[position...]))
        return parts
    }

    /// `rsplit`: the same from the end, which differs where there is a limit.
    func splitFromEnd(_ separator: Text?, _ limit: Int, _ note: () throws -> Void) rethrows -> [Text] {
        guard limit >= 0 else { return try split(separator, limit, note) }
        var left = limit
        var parts: [Text] = []
        guard let separator else {
            var position = startOfStretch(ofSpace: true, before: bytes.count)
            while position > 0 {
                try note()
                let start = left > 0 ? startOfStretch(ofSpace: false, before: position) : 0
                parts.append(Text(bytes[start..<position]))
                position = startOfStretch(ofSpace: true, before: start)
                left -= 1
            }
            return parts.reversed()
        }
        var end = bytes.count
        while left > 0, let range = lastRange(of: separator, before: end) {
            try note()
            parts.append(Text(bytes[range.upperBound..<end]))
            end = range.lowerBound
            left -= 1
        }
        try note()
        parts.append(Text(bytes[..<end]))
        return parts.reversed()
    }

    /// `splitlines`.
    func lines(keepsEnds: Bool = false) -> [Text] {
        var lines: [Text] = []
        var line = Text(bytes: [])
        let scalars = Array(scalars)
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            guard Self.endsLine(scalar) else {
                line.append(scalar)
                continue
            }
            if keepsEnds { line.append(scalar) }
            if scalar == "\r", index < scalars.count, scalars[index] == "\n" {
                if keepsEnds { line.append("\n") }
                index += 1
            }
            lines.append(line)
            line = Text(bytes: [])
        }
        return line.isEmpty ? lines : lines + [line]
    }

    private static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
