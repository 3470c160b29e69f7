import EttinFiles

/// The values of a page, each as text; whole numbers in decimal digits.
struct ParquetPage {
    /// The types of values that are read; raw values are Parquet's numbers for them.
    enum PhysicalType: Int, Sendable {
        case int32 = 1
        case int64 = 2
        case byteArray = 6
    }

    /// The text of all values.
    var text: [UInt8] = []
    /// Where each value lies in `text`; nil for a missing value.
    var ranges: [Range<Int>?] = []

    /// Values one after the other.
    static func plain(
        _ bytes: UnsafeRawBufferPointer,
        count: Int,
        type: PhysicalType
    ) throws(ParquetFault) -> ParquetPage {
        var page = ParquetPage()
        var reader = ByteReader(bytes)
        guard count <= bytes.count else { throw ParquetFault("has \(bytes.count) bytes for \(count) values") }
        page.ranges.reserveCapacity(count)
        for _ in 0..<count {
            let start = page.text.count
            switch type {
            case .int32:
                guard let value = reader.integer(Int32.self) else { throw ParquetFault("ends within its values") }
                page.text += String(value).utf8
            case .int64:
                guard let value = reader.integer(Int64.self) else { throw ParquetFault("ends within its values") }
                page.text += String(value).utf8
            case .byteArray:
                guard let length = reader.integer(UInt32.self), let value = reader.take(Int(length)) else {
                    throw ParquetFault("ends within its values")
                }
                page.text.append(contentsOf: value)
            }
            page.ranges.append(start..<page.text.count)
        }
        return page
    }

    /// Values by their positions in a dictionary, whose text is shared.
    static func indexed(
        _ bytes: UnsafeRawBufferPointer,
        count: Int,
        dictionary: ParquetPage
    ) throws(ParquetFault) -> ParquetPage {
        guard let width = bytes.first else {
            guard count == 0 else { throw ParquetFault("ends in front of its values") }
            return ParquetPage()
        }
        let indexes = try levels(
            UnsafeRawBufferPointer(rebasing: bytes.dropFirst()),
            bitWidth: Int(width),
            count: count
        )
        var page = ParquetPage(text: dictionary.text)
        page.ranges.reserveCapacity(count)
        for index in indexes {
            guard index < dictionary.ranges.count else {
                throw ParquetFault("points to entry \(index) of a dictionary of \(dictionary.ranges.count)")
            }
            page.ranges.append(dictionary.ranges[index])
        }
        return page
    }

    /// Numbers in runs and bit-packed groups of eight.
    static func levels(
        _ bytes: UnsafeRawBufferPointer,
        bitWidth: Int,
        count: Int
    ) throws(ParquetFault) -> [Int] {
        guard bitWidth <= 32 else { throw ParquetFault("has numbers of \(bitWidth) bits") }
        var numbers: [Int] = []
        var position = 0
        let valueBytes = (bitWidth + 7) / 8
        while numbers.count < count {
            var header = 0
            var shift = 0
            repeat {
                guard position < bytes.count, shift < 35 else { throw ParquetFault("ends within a run") }
                header |= Int(bytes[position] & 0x7F) << shift
                shift += 7
                position += 1
            } while bytes[position - 1] & 0x80 != 0
            if header & 1 == 0 {
                guard valueBytes <= bytes.count - position else { throw ParquetFault("ends within a run") }
                let value = (0..<valueBytes).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
                position += valueBytes
                guard header > 0 else { throw ParquetFault("has an empty run") }
                numbers += repeatElement(value, count: min(header >> 1, count - numbers.count))
            } else {
                let groupCount = header >> 1
                guard groupCount > 0, groupCount * bitWidth <= bytes.count - position else {
                    throw ParquetFault("ends within a group")
                }
                let mask = 1 << bitWidth - 1
                for index in 0..<min(groupCount * 8, count - numbers.count) {
                    let bit = index * bitWidth
                    var word = 0
                    // A number of up to 32 bits lies in at most five bytes.
                    for byte in 0..<5 where position + bit / 8 + byte < bytes.count {
                        word |= Int(bytes[position + bit / 8 + byte]) << (8 * byte)
                    }
                    numbers.append(word >> (bit % 8) & mask)
                }
                position += groupCount * bitWidth
            }
        }
        return numbers
    }
}
