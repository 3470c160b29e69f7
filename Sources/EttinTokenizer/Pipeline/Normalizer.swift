/// One step of a normaliser.
enum Normalizer: Sendable {
    case form(UnicodeForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case replace(TextPattern, with: [UInt8])
    case prepend([UInt8])
    case nmt
    case bertCleaning
    case bertChineseCharacters
    case bertAccents
    case precompiled(PrecompiledMap)
}

/// Applies normalisers to the piece of text that one thread works on.
struct NormalizerState: ~Copyable {
    /// The text, in the end the normalised one.
    var text = AlignedText()
    private var nfc = CanonicalComposer(form: .nfc)
    private var nfd = CanonicalComposer(form: .nfd)
    private var nfkc = CanonicalComposer(form: .nfkc)
    private var nfkd = CanonicalComposer(form: .nfkd)
    private var patternState = PatternState()
    private var changes: [PrecompiledMap.Change] = []

    /// Normalises the loaded text.
    ///
    /// - Parameters:
    ///   - steps: The steps in order.
    ///   - tracksPlaces: Whether places are kept, as when the text was loaded.
    mutating func apply(_ steps: [Normalizer], tracksPlaces: Bool) {
        for step in steps where text.count > 0 {
            switch step {
            case .form(.nfc): Self.compose(&text, &nfc, tracksPlaces)
            case .form(.nfd), .bertAccents: Self.compose(&text, &nfd, tracksPlaces)
            case .form(.nfkc): Self.compose(&text, &nfkc, tracksPlaces)
            case .form(.nfkd): Self.compose(&text, &nfkd, tracksPlaces)
            case .lowercase: lowercase()
            case .stripAccents: remove(.accent)
            case .strip(let left, let right): strip(left: left, right: right)
            case .replace(let pattern, let content): replace(pattern, content)
            case .prepend(let content): prepend(content)
            case .nmt:
                remove(.nmtRemoved)
                replaceBySpace(.nmtSpace)
            case .bertCleaning:
                remove(.bertRemoved)
                replaceBySpace(.bertSpace)
            case .bertChineseCharacters: surroundChineseCharacters()
            case .precompiled(let map): precompile(map)
            }
            if case .bertAccents = step { remove(.bertAccent) }
        }
    }

    private static func compose(
        _ text: inout AlignedText,
        _ composer: inout CanonicalComposer,
        _ tracksPlaces: Bool
    ) {
        guard composer.normalize(text.buffer, aligning: tracksPlaces) else { return }
        text.replace(by: composer)
    }

    /// The first character of a class at or behind a position; the end of the text when there is none.
    private func next(_ characterClass: CharacterClasses.Class, from start: Int) -> Int {
        let classes = CharacterClasses.shared
        let buffer = text.buffer
        var position = start
        while position < buffer.count {
            let (scalar, next) = decodeScalar(buffer, position)
            if classes.has(scalar, characterClass) { return position }
            position = next
        }
        return position
    }

    private mutating func remove(_ characterClass: CharacterClasses.Class) {
        var found = next(characterClass, from: 0)
        guard found < text.count else { return }
        text.beginStep()
        var kept = 0
        while found < text.count {
            text.keep(kept, found)
            kept = decodeScalar(text.buffer, found).next
            found = next(characterClass, from: kept)
        }
        text.keep(kept, text.count)
        text.finishStep()
    }

    private mutating func replaceBySpace(_ characterClass: CharacterClasses.Class) {
        var found = next(characterClass, from: 0)
        // Tabs and line feeds take as many bytes as spaces.
        while found < text.count, text.buffer[found] < 0x80 {
            text.mutablePointer[found] = UInt8(ascii: " ")
            found = next(characterClass, from: found + 1)
        }
        guard found < text.count else { return }
        text.beginStep()
        var kept = 0
        while found < text.count {
            text.keep(kept, found)
            text.put(0x20, at: found)
            kept = decodeScalar(text.buffer, found).next
            found = next(characterClass, from: kept)
        }
        text.keep(kept, text.count)
        text.finishStep()
    }

    private mutating func surroundChineseCharacters() {
        var found = next(.chinese, from: 0)
        guard found < text.count else { return }
        text.beginStep()
        var kept = 0
        while found < text.count {
            text.keep(kept, found)
            let (scalar, end) = decodeScalar(text.buffer, found)
            text.put(0x20, at: found)
            text.put(scalar, at: found)
            text.put(0x20, at: found)
            kept = end
            found = next(.chinese, from: kept)
        }
        text.keep(kept, text.count)
        text.finishStep()
    }

    private mutating func lowercase() {
        let table = CharacterClasses.shared.lowercase.pointer
        let bytes = text.mutablePointer
        let count = text.count
        var position = 0
        var firstOther = -1
        while position < count {
            let lead = bytes[position]
            if lead < 0x80 {
                if lead >= UInt8(ascii: "A"), lead <= UInt8(ascii: "Z") { bytes[position] = lead | 0x20 }
                position += 1
                continue
            }
            let (scalar, next) = decodeScalar(text.buffer, position)
            if scalar < CharacterClasses.lowercaseLimit {
                let difference = table[Int(scalar)]
                if difference != 0 || scalar == 0x130 {
                    let lowered = UInt32(truncatingIfNeeded: Int32(scalar) + difference)
                    if scalar != 0x130, lengthUTF8(lowered) == next - position {
                        Self.overwrite(bytes + position, lowered)
                    } else if firstOther < 0 {
                        firstOther = position
                    }
                }
            }
            position = next
        }
        if firstOther >= 0 { lowercaseOtherLengths(from: firstOther) }
    }

    /// Lowers the characters whose lower case takes another number of bytes; the others are done.
    private mutating func lowercaseOtherLengths(from first: Int) {
        let table = CharacterClasses.shared.lowercase.pointer
        text.beginStep()
        var kept = 0
        var position = first
        while position < text.count {
            let (scalar, next) = decodeScalar(text.buffer, position)
            let difference = scalar < CharacterClasses.lowercaseLimit ? table[Int(scalar)] : 0
            if scalar == 0x130 {
                text.keep(kept, position)
                text.put(0x69, at: position)
                text.put(0x307, at: position)
                kept = next
            } else if difference != 0 {
                text.keep(kept, position)
                text.put(UInt32(truncatingIfNeeded: Int32(scalar) + difference), at: position)
                kept = next
            }
            position = next
        }
        text.keep(kept, text.count)
        text.finishStep()
    }

    private static func overwrite(_ bytes: UnsafeMutablePointer<UInt8>, _ scalar: UInt32) {
        switch lengthUTF8(scalar) {
        case 1: bytes[0] = UInt8(scalar)
        case 2:
            bytes[0] = 0xC0 | UInt8(scalar >> 6)
            bytes[1] = 0x80 | UInt8(scalar & 0x3F)
        case 3:
            bytes[0] = 0xE0 | UInt8(scalar >> 12)
            bytes[1] = 0x80 | UInt8(scalar >> 6 & 0x3F)
            bytes[2] = 0x80 | UInt8(scalar & 0x3F)
        default:
            bytes[0] = 0xF0 | UInt8(scalar >> 18 & 0x07)
            bytes[1] = 0x80 | UInt8(scalar >> 12 & 0x3F)
            bytes[2] = 0x80 | UInt8(scalar >> 6 & 0x3F)
            bytes[3] = 0x80 | UInt8(scalar & 0x3F)
        }
    }

    private mutating func strip(left: Bool, right: Bool) {
        let classes = CharacterClasses.shared
        var start = 0
        var end = text.count
        while left, start < end {
            let (scalar, next) = decodeScalar(text.buffer, start)
            guard classes.has(scalar, .whiteSpace) else { break }
            start = next
        }
        while right, end > start {
            var position = end - 1
            while position > start, text.buffer[position] & 0xC0 == 0x80 { position -= 1 }
            guard classes.has(decodeScalar(text.buffer, position).scalar, .whiteSpace) else { break }
            end = position
        }
        guard start > 0 || end < text.count else { return }
        text.beginStep()
        text.keep(start, end)
        text.finishStep()
    }

    private mutating func replace(_ pattern: TextPattern, _ content: [UInt8]) {
        var match = pattern.firstMatch(text.pointer, 0, text.count, textStart: 0, &patternState)
        guard match != nil else { return }
        text.beginStep()
        var kept = 0
        while let found = match {
            text.keep(kept, found.lowerBound)
            // What is put in has the place of the last character that it replaces.
            text.put(content, text.placeOfByte(at: found.upperBound - 1))
            kept = found.upperBound
            match = pattern.firstMatch(text.pointer, kept, text.count, textStart: 0, &patternState)
        }
        text.keep(kept, text.count)
        text.finishStep()
    }

    private mutating func prepend(_ content: [UInt8]) {
        let place = text.place(at: 0)
        text.beginStep()
        text.put(content, place)
        text.keep(0, text.count)
        text.finishStep()
    }

    private mutating func precompile(_ map: PrecompiledMap) {
        changes.removeAll(keepingCapacity: true)
        guard map.normalize(text.buffer, into: &changes) else { return }
        text.beginStep()
        // As the original moves through the old text by what each new character replaces, so that a character that is
        // removed in front of all others moves the places of what follows it.
        var position = 0
        for change in changes {
            let place: AlignedText.Place
            if change.change > 0 {
                place = position > 0 ? text.placeOfByte(at: position - 1) : AlignedText.Place(0, 0)
            } else {
                place = position < text.count ? text.placeOfByte(at: position) : AlignedText.Place(0, 0)
                for _ in 0..<1 - change.change where position < text.count {
                    position += AlignedText.length(leadByte: text.buffer[position])
                }
            }
            text.put(change.scalar, place)
        }
        text.finishStep()
    }
}
