import EttinJSON
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("MDS golden bytes")
struct MDSGoldenTests {
    private static func ids(_ values: [Int32], _ element: MDSElement = .uint16) throws -> MDSValue {
        .array(try MDSArray(tokenIDs: values, element: element))
    }

    @Test("A shard has the bytes that mosaicml-streaming writes")
    func shard() throws {
        let folder = try TemporaryFolder()
        let columns: [(name: String, encoding: MDSEncoding)] = [
            ("len", .integer), ("input_ids", .array(element: .uint16, shape: nil)), ("id", .string),
        ]
        let writer = try MDSWriter(folder: folder.file("x"), columns: columns)
        try writer.append([
            "id": .string("doc-0"), "input_ids": Self.ids([50281, 12092, 1533, 2, 50282]), "len": .integer(5),
        ])
        try writer.append(["id": .string(""), "input_ids": Self.ids([50281, 50282]), "len": .integer(2)])
        try writer.finish()
        let bytes = try folder.read("x/shard.00000.mds")
        #expect(bytes.count == 292)
        #expect(
            bytes.withUnsafeBytes { HashAlgorithm.sha256.hexadecimal($0) }
                == "b61ed4b32af17ef788a176380fb7e5e82c6ca7616a5a4de3c4066579dcaaf98e"
        )
        let dataset = try MDSDataset(folder: folder.file("x"))
        #expect(dataset.sampleCount == 2)
        #expect(try dataset.tokenIDs(at: 0) == [50281, 12092, 1533, 2, 50282])
        #expect(
            try dataset.values(at: 1)
                == ["id": .string(""), "input_ids": Self.ids([50281, 50282]), "len": .integer(2)]
        )
    }

    /// A value with its encoding and the bytes that mosaicml-streaming writes for it.
    struct Case: Sendable, CustomStringConvertible {
        let encoding: String
        let value: MDSValue
        let hex: String
        var description: String { "\(encoding) \(value.kind)" }
    }

    static let cases: [Case] = [
        Case(encoding: "int", value: .integer(-2), hex: "feffffffffffffff"),
        Case(encoding: "uint16", value: .scalar(.uint16, bits: 513), hex: "0102"),
        Case(encoding: "int8", value: .scalar(.int8, bits: 0xFE), hex: "fe"),
        Case(encoding: "str_decimal", value: .decimal("-1.50E+7"), hex: "2d312e3530452b37"),
        Case(encoding: "json", value: .json(["a": [1, nil]]), hex: "7b2261223a205b312c206e756c6c5d7d"),
        Case(encoding: "ndarray:uint16", value: array([1, 50281], .uint16), hex: "0402010069c4"),
        Case(encoding: "ndarray", value: array([1, 2], .uint32), hex: "2004020100000002000000"),
        Case(
            encoding: "ndarray:uint32",
            value: array([1, 2, 3], .uint32, shape: [1, 3]),
            hex: "08010301000000" + "0200000003000000"
        ),
        Case(encoding: "ndarray:uint16:2", value: array([7, 8], .uint16), hex: "07000800"),
    ]

    private static func array(_ values: [Int32], _ element: MDSElement, shape: [Int]? = nil) -> MDSValue {
        let bytes = values.flatMap { element == .uint16 ? UInt16($0).littleEndianBytes : $0.littleEndianBytes }
        return .array(MDSArray(uncheckedElement: element, shape: shape ?? [values.count], bytes: bytes))
    }

    @Test("Values have the golden bytes and are read back from them", arguments: cases)
    func value(example: Case) throws {
        let encoding = try MDSEncoding(name: example.encoding)
        #expect(encoding.name == example.encoding)
        var bytes: [UInt8] = []
        try encoding.encode(example.value, into: &bytes)
        #expect(bytes.map { String(Int($0) + 256, radix: 16).suffix(2) }.joined() == example.hex)
        #expect(try bytes.withUnsafeBytes { try encoding.decode($0) } == example.value)
    }

    @Test("Three hundred ids need a dimension of two bytes")
    func longArray() throws {
        let value = try Self.ids((0..<300).map { Int32($0) })
        var bytes: [UInt8] = []
        try MDSEncoding(name: "ndarray:uint16").encode(value, into: &bytes)
        #expect(bytes.prefix(3) == [5, 0x2C, 1])
        #expect(bytes.count == 603)
    }

    @Test(
        "Pickles and unknown encodings are refused by name",
        arguments: ["pkl", "ndarray:int", "ndarray:int8:0", "x"]
    )
    func refusedEncodings(name: String) {
        let error = #expect(throws: CorpusError.self) { try MDSEncoding(name: name) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("\"\(name)\"") == true)
    }
}
