import EttinFiles
import EttinJSON

/// The parsed and checked header of a safetensors file.
///
/// A header is accepted only when its tensors fill the data section exactly: no overlap, no hole, nothing behind the
/// last one. This is the library's own rule and makes a file mean one thing only.
struct SafetensorsHeader {
    /// The longest JSON header, as in the safetensors library.
    static let lengthLimit = 100_000_000
    /// Bytes of the length before the header.
    static let prefixLength = 8

    /// In the order of their bytes in the file; empty tensors stand where the header's own order puts them.
    let tensors: [TensorDescriptor]
    /// The text entries of `__metadata__`, in file order.
    let metadata: [(key: String, value: String)]

    /// Reads and checks a header.
    ///
    /// - Parameters:
    ///   - bytes: The whole file.
    ///   - path: The file's name for messages.
    ///   - file: The file's name for descriptors.
    /// - Throws: `CheckpointError` with everything that is wrong with the header.
    init(_ bytes: UnsafeRawBufferPointer, path: String, file: String) throws {
        let header = try Self.headerRange(bytes, path: path)
        let members = try Self.members(UnsafeRawBufferPointer(rebasing: bytes[header]), path: path)
        let dataStart = header.upperBound
        let dataCount = bytes.count - dataStart
        var problems: [CheckpointError.Problem] = []
        var tensors: [TensorDescriptor] = []
        var metadata: [(key: String, value: String)] = []
        for member in members {
            if member.key == "__metadata__" {
                metadata = Self.metadata(member.value, path: path, &problems)
                continue
            }
            var entry = SafetensorsEntry(name: member.key, path: path)
            if let tensor = entry.descriptor(member.value, file: file, dataStart: dataStart, dataCount: dataCount) {
                tensors.append(tensor)
            }
            problems += entry.problems
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        self.tensors = try Self.inFileOrder(tensors, dataStart: dataStart, dataCount: dataCount, path: path)
        self.metadata = metadata
    }

    private static func headerRange(_ bytes: UnsafeRawBufferPointer, path: String) throws -> Range<Int> {
        var reader = ByteReader(bytes)
        guard let length = reader.integer(UInt64.self) else {
            throw CheckpointError(
                .malformed,
                file: path,
                found: "has \(bytes.count) bytes, too few for a safetensors file",
                expected: "8 bytes of header length and a header"
            )
        }
        guard length <= UInt64(lengthLimit) else {
            throw CheckpointError(
                .malformed,
                file: path,
                found: "announces a header of \(length) bytes",
                expected: "at most \(lengthLimit); is this a safetensors file?"
            )
        }
        guard Int(length) <= reader.remaining else {
            throw CheckpointError(
                .malformed,
                file: path,
                found: "announces a header of \(length) bytes, of which \(reader.remaining) are there",
                expected: "a complete file; download it again"
            )
        }
        return prefixLength..<prefixLength + Int(length)
    }

    private static func members(_ header: UnsafeRawBufferPointer, path: String) throws -> JSONObject {
        guard header.first == UInt8(ascii: "{") else {
            throw CheckpointError(.malformed, file: path, item: "the header", found: "does not begin with \"{\"")
        }
        do {
            // Three levels are the format's own depth: header, tensor, shape.
            let value = try JSONValue(parsing: header, options: JSONParsingOptions(maximumDepth: 8))
            return value.objectValue ?? JSONObject()
        } catch {
            throw CheckpointError(.malformed, file: path, item: "the header", found: "is not JSON: \(error)")
        }
    }

    private static func metadata(
        _ value: JSONValue,
        path: String,
        _ problems: inout [CheckpointError.Problem]
    ) -> [(key: String, value: String)] {
        guard let object = value.objectValue else {
            let item = "\"__metadata__\""
            problems.append(.init(.malformed, file: path, item: item, found: "is \(value.kind)", expected: "an object"))
            return []
        }
        return object.compactMap { member in
            guard let text = member.value.stringValue else {
                problems.append(
                    .init(
                        .malformed,
                        file: path,
                        item: "\"__metadata__\" entry \(quoted(member.key))",
                        found: "is \(member.value.kind)",
                        expected: "a string"
                    )
                )
                return nil
            }
            return (member.key, text)
        }
    }

    /// Sorts by position and checks that the data section is covered exactly once.
    private static func inFileOrder(
        _ tensors: [TensorDescriptor],
        dataStart: Int,
        dataCount: Int,
        path: String
    ) throws -> [TensorDescriptor] {
        let placed = tensors.enumerated().compactMap { index, tensor in
            tensor.byteRange.map { (index: index, range: $0, tensor: tensor) }
        }
        let sorted = placed.sorted {
            ($0.range.lowerBound, $0.range.upperBound, $0.index) < ($1.range.lowerBound, $1.range.upperBound, $1.index)
        }
        var problems: [CheckpointError.Problem] = []
        var position = dataStart
        var previous = "the header"
        for (_, range, tensor) in sorted {
            let item = "tensor \(quoted(tensor.name))"
            if range.lowerBound != position {
                let isOverlap = range.lowerBound < position
                problems.append(
                    .init(
                        .malformed,
                        file: path,
                        item: item,
                        found: "begins at data byte \(range.lowerBound - dataStart), "
                            + (isOverlap ? "inside \(previous)" : "which leaves a hole behind \(previous)"),
                        expected: "data byte \(position - dataStart)"
                    )
                )
            }
            position = max(position, range.upperBound)
            previous = item
        }
        if problems.isEmpty, position != dataStart + dataCount {
            problems.append(
                .init(
                    .malformed,
                    file: path,
                    found: "has \(dataStart + dataCount - position) bytes behind \(previous)",
                    expected: "an end at byte \(position)"
                )
            )
        }
        guard problems.isEmpty else { throw CheckpointError(problems) }
        return sorted.map(\.tensor)
    }
}

/// The check of one tensor's header entry.
private struct SafetensorsEntry {
    let name: String
    let path: String
    var problems: [CheckpointError.Problem] = []

    init(name: String, path: String) {
        self.name = name
        self.path = path
    }

    mutating func descriptor(_ value: JSONValue, file: String, dataStart: Int, dataCount: Int) -> TensorDescriptor? {
        guard let object = value.objectValue else {
            refuse("is \(value.kind)", "an object with dtype, shape and data_offsets")
            return nil
        }
        for member in object where !["dtype", "shape", "data_offsets"].contains(member.key) {
            refuse("has the unknown key \(quoted(member.key))", "dtype, shape and data_offsets only")
        }
        let dtype = dtype(object["dtype"])
        let shape = integers(object["shape"], "shape")
        let offsets = offsets(object["data_offsets"], dataCount: dataCount)
        guard let dtype, let shape, let offsets else { return nil }
        guard let needed = dtype.byteCount(of: shape) else {
            refuse(
                "has shape \(spelled(shape)), which \(dtype.rawValue) values cannot fill",
                "whole bytes, fewer than 2^63"
            )
            return nil
        }
        guard needed == offsets.count else {
            refuse(
                "has \(offsets.count) bytes",
                "\(needed) for \(dtype.rawValue) \(spelled(shape))"
            )
            return nil
        }
        return TensorDescriptor(
            name: name,
            dtype: dtype,
            shape: shape,
            byteCount: needed,
            file: file,
            byteRange: dataStart + offsets.lowerBound..<dataStart + offsets.upperBound
        )
    }

    private mutating func dtype(_ value: JSONValue?) -> StoredDType? {
        guard let value, let text = value.stringValue else {
            refuse(value.map { "has a dtype that is \($0.kind)" } ?? "has no dtype", "a string")
            return nil
        }
        guard let dtype = StoredDType(rawValue: text) else {
            let known = StoredDType.allCases.map(\.rawValue).joined(separator: ", ")
            refuse("has the unknown dtype \(quoted(text))", known)
            return nil
        }
        return dtype
    }

    private mutating func integers(_ value: JSONValue?, _ key: String) -> [Int]? {
        guard let array = value?.arrayValue else {
            refuse(value.map { "has \(quoted(key)) that is \($0.kind)" } ?? "has no \(quoted(key))", "an array")
            return nil
        }
        var result: [Int] = []
        for element in array {
            guard let number = element.intValue, number >= 0 else {
                let found = element.numberValue?.spelling ?? "\(element.kind)"
                refuse("has \(quoted(key)) with the element \(found)", "integers from 0 up to 63 bits")
                return nil
            }
            result.append(number)
        }
        return result
    }

    private mutating func offsets(_ value: JSONValue?, dataCount: Int) -> Range<Int>? {
        guard let numbers = integers(value, "data_offsets") else { return nil }
        guard numbers.count == 2 else {
            refuse("has \(numbers.count) data_offsets", "begin and end")
            return nil
        }
        guard numbers[0] <= numbers[1] else {
            refuse("begins at data byte \(numbers[0]) and ends at \(numbers[1])", "an end that is not before the begin")
            return nil
        }
        guard numbers[1] <= dataCount else {
            refuse("ends at data byte \(numbers[1]) of \(dataCount)", "a complete file; download it again")
            return nil
        }
        return numbers[0]..<numbers[1]
    }

    private mutating func refuse(_ found: String, _ expected: String) {
        problems.append(
            .init(.malformed, file: path, item: "tensor \(quoted(name))", found: found, expected: expected)
        )
    }
}
