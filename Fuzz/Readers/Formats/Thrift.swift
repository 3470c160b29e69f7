/// A value of Thrift's compact protocol, whose lengths follow from its parts when it is written again.
indirect enum Thrift {
    case bool(Bool)
    case byte(UInt8)
    /// Of the kind 4, 5 or 6.
    case integer(Int64, kind: UInt8)
    case double(UInt64)
    case binary([UInt8])
    case list([Thrift], element: UInt8, isSet: Bool)
    case structure([(field: Int, value: Thrift)])

    // MARK: - Reading

    /// Reads a structure; nil for what the parts of Parquet do not hold.
    static func structure(_ bytes: ArraySlice<UInt8>) -> (value: Thrift, end: Int)? {
        var reader = Reader(rest: bytes)
        return reader.structure().map { ($0, reader.rest.startIndex) }
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: 0, to: 70, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << UInt64(shift)
                if byte & 0x80 == 0 { return value }
            }
            return nil
        }

        mutating func signed() -> Int64? {
            varint().map { Int64(bitPattern: $0 >> 1) ^ -Int64(bitPattern: $0 & 1) }
        }

        mutating func structure() -> Thrift? {
            var fields: [(field: Int, value: Thrift)] = []
            var field = 0
            while let header = rest.popFirst() {
                if header == 0 { return .structure(fields) }
                if header >> 4 == 0 {
                    guard let number = signed() else { return nil }
                    field = Int(number)
                } else {
                    field += Int(header >> 4)
                }
                guard let value = value(header & 15) else { return nil }
                fields.append((field, value))
            }
            return nil
        }

        mutating func value(_ kind: UInt8) -> Thrift? {
            switch kind {
            case 1, 2: return .bool(kind == 1)
            case 3: return rest.popFirst().map { .byte($0) }
            case 4, 5, 6: return signed().map { .integer($0, kind: kind) }
            case 7:
                guard rest.count >= 8 else { return nil }
                let bits = rest.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                rest = rest.dropFirst(8)
                return .double(bits)
            case 8:
                guard let count = varint(), count <= UInt64(rest.count) else { return nil }
                defer { rest = rest.dropFirst(Int(count)) }
                return .binary(Array(rest.prefix(Int(count))))
            case 9, 10:
                guard let header = rest.popFirst() else { return nil }
                let count = header >> 4 == 15 ? varint() : UInt64(header >> 4)
                guard let count, count <= UInt64(rest.count) else { return nil }
                var items: [Thrift] = []
                for _ in 0..<count {
                    // A Boolean of a list is a byte of its own.
                    guard let item = header & 15 <= 2 ? rest.popFirst().map({ .bool($0 == 1) }) : value(header & 15)
                    else {
                        return nil
                    }
                    items.append(item)
                }
                return .list(items, element: header & 15, isSet: kind == 10)
            case 12: return structure()
            default: return nil
            }
        }
    }

    // MARK: - Writing

    private var kind: UInt8 {
        switch self {
        case .bool(let flag): flag ? 1 : 2
        case .byte: 3
        case .integer(_, let kind): kind
        case .double: 7
        case .binary: 8
        case .list(_, _, let isSet): isSet ? 10 : 9
        case .structure: 12
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .bool: return []
        case .byte(let byte): return [byte]
        case .integer(let number, _): return Self.varint(UInt64(bitPattern: number << 1 ^ number >> 63))
        case .double(let bits): return littleEndian(bits)
        case .binary(let bytes): return Self.varint(UInt64(bytes.count)) + bytes
        case .list(let items, let element, _):
            let header = items.count < 15 ? [UInt8(items.count) << 4 | element] : [0xF0 | element]
            let count = items.count < 15 ? [] : Self.varint(UInt64(items.count))
            return header + count
                + items.flatMap { item -> [UInt8] in
                    if case .bool(let flag) = item { [flag ? 1 : 2] } else { item.bytes }
                }
        case .structure(let fields):
            var bytes: [UInt8] = []
            var last = 0
            for (field, value) in fields {
                let step = field - last
                if (1...15).contains(step) {
                    bytes.append(UInt8(step) << 4 | value.kind)
                } else {
                    let number = Int64(field)
                    bytes += [value.kind] + Self.varint(UInt64(bitPattern: number << 1 ^ number >> 63))
                }
                bytes += value.bytes
                last = field
            }
            return bytes + [0]
        }
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var (value, bytes) = (value, [UInt8]())
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    // MARK: - Parts

    subscript(field: Int) -> Thrift? {
        get {
            guard case .structure(let fields) = self else { return nil }
            return fields.first { $0.field == field }?.value
        }
        set {
            guard case .structure(var fields) = self, let newValue else { return }
            if let place = fields.firstIndex(where: { $0.field == field }) { fields[place].value = newValue }
            self = .structure(fields)
        }
    }

    var number: Int? {
        guard case .integer(let number, _) = self else { return nil }
        return Int(number)
    }

    var items: [Thrift]? {
        guard case .list(let items, _, _) = self else { return nil }
        return items
    }

    // MARK: - Changing

    func mutated(_ dice: inout Dice) -> Thrift {
        var value = self
        for _ in 0..<dice.pick([1, 1, 1, 2, 3]) {
            var index = 0
            value = value.edited(&index, dice.below(value.size), &dice)
        }
        return value
    }

    private var size: Int {
        switch self {
        case .list(let items, _, _): items.reduce(1) { $0 + $1.size }
        case .structure(let fields): fields.reduce(1) { $0 + $1.value.size }
        default: 1
        }
    }

    private func edited(_ index: inout Int, _ target: Int, _ dice: inout Dice) -> Thrift {
        let own = index
        index += 1
        if own == target { return changed(&dice) }
        switch self {
        case .list(let items, let element, let isSet):
            var result: [Thrift] = []
            for item in items { result.append(item.edited(&index, target, &dice)) }
            return .list(result, element: element, isSet: isSet)
        case .structure(let fields):
            var result: [(field: Int, value: Thrift)] = []
            for (field, value) in fields { result.append((field, value.edited(&index, target, &dice))) }
            return .structure(result)
        default: return self
        }
    }

    private func changed(_ dice: inout Dice) -> Thrift {
        switch self {
        case .bool(let flag): return .bool(!flag)
        case .byte: return .byte(UInt8(truncatingIfNeeded: dice.next()))
        case .double: return .double(dice.next())
        case .integer(let number, let kind):
            if dice.chance(0.4) { return .integer(number &+ Int64(dice.pick([-2, -1, 1, 2, 8])), kind: kind) }
            if dice.chance(0.1) { return .integer(number, kind: dice.pick([4, 5, 6])) }
            let hostile = dice.pick(Hostile.integers)
            // One that the width allows says more than one that is refused for it.
            let narrow = kind == 5 && dice.chance(0.8) ? Int(Int32(truncatingIfNeeded: hostile)) : hostile
            return .integer(Int64(dice.chance(0.3) ? dice.below(12) : narrow), kind: kind)
        case .binary(let bytes):
            return .binary(dice.chance(0.5) ? Array(dice.pick(Hostile.words).utf8) : ByteMutation.mutated(bytes, &dice))
        case .list(var items, let element, let isSet):
            guard !items.isEmpty else { return self }
            let place = dice.below(items.count)
            switch dice.below(4) {
            case 0: items.remove(at: place)
            case 1: items.insert(items[place], at: place)
            case 2: items.swapAt(place, dice.below(items.count))
            default: items += Array(repeating: items[place], count: dice.pick([1, 20, 200]))
            }
            return .list(items, element: element, isSet: isSet)
        case .structure(var fields):
            guard !fields.isEmpty else { return self }
            let place = dice.below(fields.count)
            switch dice.below(4) {
            case 0: fields.remove(at: place)
            case 1: fields.insert(fields[place], at: place)
            case 2: fields[place].field = dice.pick([0, 1, 2, 3, 5, 7, 8, 9, 11, 15, 200, 32767])
            default: fields[place].value = fields[dice.below(fields.count)].value
            }
            return .structure(fields)
        }
    }
}

/// A Parquet file taken apart into pages and footer, which finds its places again when parts change their lengths.
struct ParquetParts {
    private struct Page {
        var header: Thrift
        var body: [UInt8]
    }

    /// The pages of each column chunk in the order of the row groups.
    private var chunks: [[Page]] = []
    private var footer: Thrift

    init?(_ file: [UInt8]) {
        guard file.count > 12 else { return nil }
        let length = file[(file.count - 8)...].prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= file.count - 12,
            let footer = Thrift.structure(file[(file.count - 8 - length)..<(file.count - 8)])
        else { return nil }
        self.footer = footer.value
        for group in footer.value[4]?.items ?? [] {
            for column in group[1]?.items ?? [] {
                guard let metadata = column[3], let data = metadata[9]?.number, let size = metadata[7]?.number else {
                    return nil
                }
                let start = min(data, metadata[11]?.number ?? data)
                var (place, pages) = (start, [Page]())
                while place < start + size {
                    guard let header = Thrift.structure(file[place...]), let count = header.value[3]?.number,
                        header.end + count <= file.count
                    else { return nil }
                    pages.append(Page(header: header.value, body: Array(file[header.end..<(header.end + count)])))
                    place = header.end + count
                }
                chunks.append(pages)
            }
        }
    }

    mutating func mutate(_ dice: inout Dice) {
        for _ in 0..<dice.pick([1, 1, 2]) {
            let chunk = dice.below(chunks.count)
            let page = dice.below(chunks[chunk].count)
            switch dice.below(10) {
            case 0...3: footer = footer.mutated(&dice)
            case 4...6: chunks[chunk][page].header = chunks[chunk][page].header.mutated(&dice)
            case 7...8:
                // The page's size stays that of its bytes.
                chunks[chunk][page].body = ByteMutation.mutated(chunks[chunk][page].body, &dice)
                chunks[chunk][page].header[3] = .integer(Int64(chunks[chunk][page].body.count), kind: 5)
            default: chunks[chunk].insert(chunks[chunk][page], at: page)
            }
        }
    }

    /// The file, with offsets that are right unless they were changed.
    func bytes(_ dice: inout Dice) -> [UInt8] {
        var file = Array("PAR1".utf8)
        var footer = footer
        var number = 0
        let keepsOffsets = dice.chance(0.1)
        if case .list(var groups, let element, let isSet)? = footer[4] {
            for group in groups.indices {
                guard case .list(var columns, let kind, let isColumnSet)? = groups[group][1] else { continue }
                for column in columns.indices where number < chunks.count {
                    let start = file.count
                    var data: Int?
                    for page in chunks[number] {
                        if page.header[1]?.number != 2, data == nil { data = file.count }
                        file += page.header.bytes + page.body
                    }
                    number += 1
                    guard !keepsOffsets, var metadata = columns[column][3] else { continue }
                    // Places that were changed on purpose stay as they are in one of a few files.
                    metadata[9] = .integer(Int64(data ?? start), kind: 6)
                    metadata[11] = .integer(Int64(start), kind: 6)
                    if dice.chance(0.8) { metadata[7] = .integer(Int64(file.count - start), kind: 6) }
                    columns[column][3] = metadata
                }
                groups[group][1] = .list(columns, element: kind, isSet: isColumnSet)
            }
            footer[4] = .list(groups, element: element, isSet: isSet)
        }
        let tail = footer.bytes
        return file + tail + littleEndian(UInt32(tail.count)) + Array("PAR1".utf8)
    }
}
