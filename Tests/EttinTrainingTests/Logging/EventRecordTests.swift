import Testing

@testable import EttinTraining

@Suite("Event records")
struct EventRecordTests {
    @Test(
        "the check is that of RFC 3720",
        arguments: [
            (Array("123456789".utf8), 0xE306_9283), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E), ([], 0),
        ] as [([UInt8], UInt32)]
    )
    func checksum(bytes: [UInt8], sum: UInt32) {
        #expect(CRC32C.checksum(bytes) == sum)
    }

    @Test("the mask is TensorFlow's")
    func mask() {
        #expect(CRC32C.masked(Array("abc".utf8)) == 0x21F1_576E)
    }

    /// Each record as `tensorboard` 2.21 serializes the same event.
    static let records: [(EventRecord.Content, Int, String)] = [
        (
            .fileVersion, 0,
            "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110"
        ),
        (.restart, 301, "100000000000000095fbfe180900002040fc54d94110ad023a020801596f3f79"),
        (
            .scalars([("loss/train/total", 2.5), ("lr", .nan)]), 300,
            "3200000000000000241956ec0900002040fc54d94110ac022a240a170a106c6f73732f747261696e2f746f74616c15000020400a090a"
                + "026c72150000c07f5ee6d96a"
        ),
    ]

    @Test("records are TensorBoard's, byte by byte", arguments: records)
    func golden(content: EventRecord.Content, step: Int, hexadecimal: String) {
        let record = EventRecord(content: content, step: step, wallTime: 1_700_000_000.5)
        let digits = record.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        #expect(digits.joined() == hexadecimal)
    }
}
