/// The four Unicode normalisation forms.
enum UnicodeForm: Sendable {
    case nfc, nfd, nfkc, nfkd

    /// The bit of the characters that the form may change or move, or that may join one before them.
    var unstableBit: UInt8 {
        switch self {
        case .nfc: UnicodeProperties.unstableBit
        case .nfd: UnicodeProperties.decomposingBit
        case .nfkc: UnicodeProperties.compatibilityUnstableBit
        case .nfkd: UnicodeProperties.compatibilityDecomposingBit
        }
    }
}

/// Decompositions, compositions and combining classes of the original normaliser.
final class CanonicalData: Sendable {
    /// The one instance, built when a text first contains a character that NFC may change.
    static let shared = CanonicalData()
    /// The same with compatibility decompositions.
    static let compatible = CanonicalData(isCompatible: true)

    private let decompositionIndex: [UInt32: Range<Int>]
    private let decompositionScalars: [UInt32]
    private let compositions: [UInt64: UInt32]
    private let combiningClasses: [UInt32: UInt8]

    private init(isCompatible: Bool = false) {
        var index: [UInt32: Range<Int>] = [:]
        var scalars: [UInt32] = []
        var reader = Base36Reader(UnicodeTables.decompositions)
        var code = 0
        while let gap = reader.next(), let length = reader.next() {
            code += gap
            let start = scalars.count
            for _ in 0..<length { scalars.append(UInt32(reader.next() ?? 0)) }
            index[UInt32(code)] = start..<scalars.count
        }
        if isCompatible {
            reader = Base36Reader(UnicodeTables.compatibility)
            code = 0
            while let gap = reader.next(), let count = reader.next(), let length = reader.next() {
                code += gap
                let targets = (0..<length).map { _ in UInt32(reader.next() ?? 0) }
                // A run of characters with one target each maps to a run.
                for offset in 0..<count {
                    index[UInt32(code + offset)] = scalars.count..<scalars.count + length
                    scalars += targets.map { $0 + UInt32(offset) }
                }
                code += count - 1
            }
        }
        decompositionIndex = index
        decompositionScalars = scalars

        var compositions: [UInt64: UInt32] = [:]
        reader = Base36Reader(UnicodeTables.compositions)
        var first = 0
        while let gap = reader.next(), let second = reader.next(), let composed = reader.next() {
            first += gap
            compositions[UInt64(first) << 32 | UInt64(second)] = UInt32(composed)
        }
        self.compositions = compositions

        var classes: [UInt32: UInt8] = [:]
        reader = Base36Reader(UnicodeTables.combiningClasses)
        var position = 0
        while let gap = reader.next(), let length = reader.next(), let value = reader.next() {
            position += gap
            for code in position..<position + length { classes[UInt32(code)] = UInt8(value) }
            position += length
        }
        combiningClasses = classes
    }

    func combiningClass(of scalar: UInt32) -> UInt8 {
        scalar < 0x300 ? 0 : combiningClasses[scalar] ?? 0
    }

    /// Calls `body` with each character of the full canonical decomposition.
    func decompose(_ scalar: UInt32, _ body: (UInt32) -> Void) {
        if scalar >= 0xAC00, scalar < 0xAC00 + 11172 {
            let syllable = scalar - 0xAC00
            body(0x1100 + syllable / 588)
            body(0x1161 + syllable % 588 / 28)
            if syllable % 28 != 0 { body(0x11A7 + syllable % 28) }
        } else if let range = decompositionIndex[scalar] {
            for position in range { body(decompositionScalars[position]) }
        } else {
            body(scalar)
        }
    }

    /// The character that two characters join to, if any.
    func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if first >= 0x1100, first < 0x1113, second >= 0x1161, second < 0x1176 {
            return 0xAC00 + (first - 0x1100) * 588 + (second - 0x1161) * 28
        }
        if first >= 0xAC00, first < 0xAC00 + 11172, (first - 0xAC00) % 28 == 0, second > 0x11A7, second < 0x11C3 {
            return first + (second - 0x11A7)
        }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

/// Brings text to NFC, or to another form, while keeping track of where each byte came from.
///
/// The alignment follows the original library, which counts for each resulting character how many source characters
/// it stands for ("change": 0 replaces one, +1 is inserted, −n swallows n more) and gives a composed character the
/// place of the **first** character it was made from. Offsets of published encodings depend on that.
struct CanonicalComposer: ~Copyable {
    /// The normalised text of the last call that changed something.
    var bytes = Scratch<UInt8>()
    /// For each normalised byte, where its character's source starts and ends; only when asked for.
    var alignments = Scratch<SourceRange>()

    /// A range of source bytes.
    struct SourceRange: BitwiseCopyable {
        var start: Int
        var end: Int
    }

    struct Source {
        let scalar: UInt32
        let range: SourceRange
    }

    struct Changed {
        let scalar: UInt32
        var combiningClass: UInt8
        let change: Int
    }

    private var sources: [Source] = []
    private var decomposed: [Changed] = []
    private var composed: [Changed] = []
    private let form: UnicodeForm
    private let unstableBit: UInt8

    init(form: UnicodeForm = .nfc) {
        self.form = form
        unstableBit = form.unstableBit
    }

    /// Normalises a text.
    ///
    /// - Parameters:
    ///   - text: Valid UTF-8.
    ///   - aligning: Whether to fill `alignments`.
    /// - Returns: False when the text is in that form already; `bytes` is then not filled.
    mutating func normalize(_ text: UnsafeBufferPointer<UInt8>, aligning: Bool) -> Bool {
        let flags = UnicodeProperties.shared.flags.pointer
        let unstableBit = unstableBit
        // Start of the last character that the form neither changes nor joins to what is before it.
        var safeStart = 0
        var copied = 0
        var position = 0
        var hasChanges = false
        while position < text.count {
            if text[position] < 0x80 {
                safeStart = position
                position += 1
                continue
            }
            let (scalar, next) = decodeScalar(text, position)
            guard flags[Int(scalar)] & unstableBit != 0 else {
                safeStart = position
                position = next
                continue
            }
            if !hasChanges {
                hasChanges = true
                bytes.removeAll()
                alignments.removeAll()
            }
            copy(text, copied..<safeStart, aligning: aligning)
            position = normalizeSegment(text, from: safeStart, aligning: aligning)
            copied = position
            safeStart = position
        }
        if hasChanges { copy(text, copied..<text.count, aligning: aligning) }
        return hasChanges
    }

    private mutating func copy(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, aligning: Bool) {
        guard let base = text.baseAddress, !range.isEmpty else { return }
        bytes.append(from: base + range.lowerBound, count: range.count)
        guard aligning else { return }
        var position = range.lowerBound
        while position < range.upperBound {
            let next = text[position] < 0x80 ? position + 1 : decodeScalar(text, position).next
            for _ in position..<next { alignments.append(SourceRange(start: position, end: next)) }
            position = next
        }
    }

    /// Normalises from a safe character to the next one, and returns where that starts.
    private mutating func normalizeSegment(
        _ text: UnsafeBufferPointer<UInt8>,
        from start: Int,
        aligning: Bool
    ) -> Int {
        let flags = UnicodeProperties.shared.flags.pointer
        let data = form == .nfkc || form == .nfkd ? CanonicalData.compatible : CanonicalData.shared
        sources.removeAll(keepingCapacity: true)
        decomposed.removeAll(keepingCapacity: true)
        composed.removeAll(keepingCapacity: true)
        var position = start
        while position < text.count {
            let (scalar, next) = decodeScalar(text, position)
            if position > start, flags[Int(scalar)] & unstableBit == 0 { break }
            sources.append(Source(scalar: scalar, range: SourceRange(start: position, end: next)))
            position = next
        }
        for source in sources {
            var change = 0
            data.decompose(source.scalar) { scalar in
                decomposed.append(
                    Changed(scalar: scalar, combiningClass: data.combiningClass(of: scalar), change: change)
                )
                change = 1
            }
        }
        sortMarks()
        if form == .nfc || form == .nfkc {
            composeMarks(data)
        } else {
            swap(&composed, &decomposed)
        }
        write(previous: aligning ? precedingRange(text, start) : SourceRange(start: 0, end: 0), aligning: aligning)
        return position
    }

    private func precedingRange(_ text: UnsafeBufferPointer<UInt8>, _ position: Int) -> SourceRange {
        guard position > 0 else { return SourceRange(start: 0, end: 0) }
        var start = position - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return SourceRange(start: start, end: position)
    }

    /// Sorts each run of marks by combining class, keeping the order of equals.
    private mutating func sortMarks() {
        var position = 0
        while position < decomposed.count {
            guard decomposed[position].combiningClass != 0 else {
                position += 1
                continue
            }
            let start = position
            var isSorted = true
            while position < decomposed.count, decomposed[position].combiningClass != 0 {
                if position > start, decomposed[position].combiningClass < decomposed[position - 1].combiningClass {
                    isSorted = false
                }
                position += 1
            }
            guard !isSorted else { continue }
            // Swift's sort is not documented as stable, so the position breaks ties.
            let sorted = decomposed[start..<position].enumerated().sorted {
                ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
            }
            for (offset, entry) in sorted.enumerated() { decomposed[start + offset] = entry.element }
        }
    }

    /// Joins marks to the starter before them unless a mark of the same or a higher class lies between.
    private mutating func composeMarks(_ data: CanonicalData) {
        var starter: Int?
        var lastClass: UInt8?
        for entry in decomposed {
            guard let current = starter else {
                composed.append(entry)
                if entry.combiningClass == 0 { starter = composed.count - 1 }
                continue
            }
            let isBlocked = lastClass.map { $0 >= entry.combiningClass } ?? false
            if !isBlocked, let joined = data.compose(composed[current].scalar, entry.scalar) {
                composed[current] = Changed(
                    scalar: joined,
                    combiningClass: 0,
                    change: composed[current].change + entry.change - 1
                )
                continue
            }
            composed.append(entry)
            if entry.combiningClass == 0 {
                starter = composed.count - 1
                lastClass = nil
            } else {
                lastClass = entry.combiningClass
            }
        }
    }

    /// Appends the composed characters with their places.
    private mutating func write(previous: SourceRange, aligning: Bool) {
        var consumed = 0
        for entry in composed {
            let length = appendUTF8(entry.scalar, to: &bytes)
            guard aligning else { continue }
            let place: SourceRange
            if entry.change > 0 {
                place = consumed > 0 ? sources[min(consumed, sources.count) - 1].range : previous
            } else {
                place = consumed < sources.count ? sources[consumed].range : previous
                consumed += 1 - entry.change
            }
            for _ in 0..<length { alignments.append(place) }
        }
    }
}

/// Decodes the character at a position of valid UTF-8.
@inline(__always)
func decodeScalar(_ text: UnsafeBufferPointer<UInt8>, _ position: Int) -> (scalar: UInt32, next: Int) {
    let lead = UInt32(text[position])
    if lead < 0x80 { return (lead, position + 1) }
    let second = UInt32(text[position + 1] & 0x3F)
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, position + 2) }
    let third = UInt32(text[position + 2] & 0x3F)
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, position + 3) }
    let fourth = UInt32(text[position + 3] & 0x3F)
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | fourth, position + 4)
}
