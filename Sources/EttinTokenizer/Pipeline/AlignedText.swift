/// A text under normalisation, and the place in the source that each of its bytes came from.
///
/// Steps write the text anew with `keep`, `put` and `finishStep`, or change bytes in place where no length changes.
/// Places are those of the original library, which gives an inserted character the place of the one before it.
struct AlignedText: ~Copyable {
    /// Where a byte came from, in bytes of the source piece.
    ///
    /// Pieces above 4 GiB have no exact places.
    struct Place: BitwiseCopyable {
        var start: UInt32
        var end: UInt32

        init(_ start: Int, _ end: Int) {
            self.start = UInt32(clamping: start)
            self.end = UInt32(clamping: end)
        }
    }

    /// The text as it is now.
    private(set) var bytes = Scratch<UInt8>()
    /// A place per byte; filled only while places are tracked and the text is not the source itself.
    private(set) var places = Scratch<Place>()
    /// Whether each byte still is the byte of the source at its own position.
    private(set) var isSource = true
    private var tracksPlaces = false
    private var nextBytes = Scratch<UInt8>()
    private var nextPlaces = Scratch<Place>()

    /// Begins with a piece of the source.
    mutating func load(_ text: UnsafePointer<UInt8>, _ count: Int, tracksPlaces: Bool) {
        bytes.removeAll()
        bytes.append(from: text, count: count)
        places.removeAll()
        isSource = true
        self.tracksPlaces = tracksPlaces
    }

    /// Begins with a part of another text.
    mutating func load(_ other: borrowing AlignedText, _ start: Int, _ end: Int) {
        bytes.removeAll()
        places.removeAll()
        bytes.append(from: other.pointer + start, count: end - start)
        tracksPlaces = other.tracksPlaces
        isSource = other.isSource && start == 0
        guard tracksPlaces, !isSource else { return }
        places.reserve(end - start)
        for position in start..<end { places.append(other.placeOfByte(at: position)) }
    }

    var count: Int { bytes.count }
    var pointer: UnsafePointer<UInt8> { UnsafePointer(bytes.pointer) }
    var buffer: UnsafeBufferPointer<UInt8> { bytes.buffer }

    /// The bytes, for steps that change no length.
    var mutablePointer: UnsafeMutablePointer<UInt8> { bytes.pointer }

    /// The place of the character at a position, which is its first byte; of no meaning while none are tracked.
    @inline(__always)
    func place(at position: Int) -> Place {
        guard isSource else { return tracksPlaces ? places[position] : Place(0, 0) }
        return Place(position, position + Self.length(leadByte: bytes[position]))
    }

    /// The place of any byte; of no meaning while none are tracked.
    func placeOfByte(at position: Int) -> Place {
        guard isSource else { return tracksPlaces ? places[position] : Place(0, 0) }
        var start = position
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return place(at: start)
    }

    // MARK: - Writing anew

    /// Begins a step that writes the text anew.
    mutating func beginStep() {
        nextBytes.removeAll()
        nextPlaces.removeAll()
        nextBytes.reserve(bytes.count)
        if tracksPlaces { nextPlaces.reserve(bytes.count) }
    }

    /// Appends a range of the present text, which begins and ends between characters.
    mutating func keep(_ start: Int, _ end: Int) {
        guard end > start else { return }
        nextBytes.append(from: bytes.pointer + start, count: end - start)
        guard tracksPlaces else { return }
        guard isSource else {
            nextPlaces.append(from: places.pointer + start, count: end - start)
            return
        }
        var position = start
        while position < end {
            let next = position + Self.length(leadByte: bytes[position])
            for _ in position..<next { nextPlaces.append(Place(position, next)) }
            position = next
        }
    }

    /// Appends a character with a place.
    mutating func put(_ scalar: UInt32, _ place: Place) {
        let length = appendUTF8(scalar, to: &nextBytes)
        guard tracksPlaces else { return }
        for _ in 0..<length { nextPlaces.append(place) }
    }

    /// Appends a character that stands for the one at a position.
    @inline(__always)
    mutating func put(_ scalar: UInt32, at position: Int) {
        put(scalar, tracksPlaces ? place(at: position) : Place(0, 0))
    }

    /// Appends bytes that all have one place.
    mutating func put(_ text: [UInt8], _ place: Place) {
        for byte in text { nextBytes.append(byte) }
        guard tracksPlaces else { return }
        for _ in 0..<text.count { nextPlaces.append(place) }
    }

    /// Where the next byte will be written.
    var writtenCount: Int { nextBytes.count }

    /// Makes what was written the present text.
    mutating func finishStep() {
        swap(&bytes, &nextBytes)
        swap(&places, &nextPlaces)
        isSource = false
    }

    /// Takes over a text that a composer made of the present one.
    mutating func replace(by composer: borrowing CanonicalComposer) {
        beginStep()
        nextBytes.append(from: composer.bytes.pointer, count: composer.bytes.count)
        if tracksPlaces {
            for index in 0..<composer.alignments.count {
                let range = composer.alignments[index]
                nextPlaces.append(range.end == 0 ? Place(0, 0) : place(at: range.start))
            }
        }
        finishStep()
    }

    static func length(leadByte: UInt8) -> Int {
        leadByte < 0x80 ? 1 : leadByte < 0xE0 ? 2 : leadByte < 0xF0 ? 3 : 4
    }
}

/// Appends the UTF-8 of a character, and returns its length.
@discardableResult
func appendUTF8(_ scalar: UInt32, to bytes: inout Scratch<UInt8>) -> Int {
    switch scalar {
    case 0..<0x80:
        bytes.append(UInt8(scalar))
        return 1
    case 0x80..<0x800:
        bytes.append(0xC0 | UInt8(scalar >> 6))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
        return 2
    case 0x800..<0x10000:
        bytes.append(0xE0 | UInt8(scalar >> 12))
        bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
        return 3
    default:
        bytes.append(0xF0 | UInt8(scalar >> 18 & 0x07))
        bytes.append(0x80 | UInt8(scalar >> 12 & 0x3F))
        bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
        bytes.append(0x80 | UInt8(scalar & 0x3F))
        return 4
    }
}

/// The length of a character in UTF-8.
@inline(__always)
func lengthUTF8(_ scalar: UInt32) -> Int {
    scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4
}
