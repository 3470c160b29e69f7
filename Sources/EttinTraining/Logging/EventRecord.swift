/// One event as TensorBoard reads it: a protocol buffer in a record of TensorFlow's.
///
/// A record is the payload's length (UInt64), the masked check of these 8 bytes, the payload, and its masked check, all
/// numbers little-endian.
///
/// > Source: TensorBoard's `event.proto` and `summary.proto` for the field numbers.
struct EventRecord {
    /// What an event says.
    enum Content {
        /// The first event of every file.
        case fileVersion
        /// What earlier files say of this step and later ones is void.
        case restart
        /// Values of a step.
        case scalars([(key: String, value: Double)])
    }

    let content: Content
    let step: Int
    /// Seconds since 1970.
    let wallTime: Double

    /// The bytes of the record.
    var bytes: [UInt8] {
        let payload = message.bytes
        let length = littleEndian(UInt64(payload.count))
        return length + littleEndian(CRC32C.masked(length)) + payload + littleEndian(CRC32C.masked(payload))
    }

    private var message: ProtocolBuffer {
        var event = ProtocolBuffer()
        event.append(1, double: wallTime)
        // Zero is what an absent number means.
        if step != 0 { event.append(2, integer: step) }
        switch content {
        case .fileVersion: event.append(3, text: "brain.Event:2")
        case .restart:
            var session = ProtocolBuffer()
            session.append(1, integer: 1)
            event.append(7, message: session)
        case .scalars(let scalars):
            var summary = ProtocolBuffer()
            for (key, value) in scalars {
                var scalar = ProtocolBuffer()
                scalar.append(1, text: key)
                scalar.append(2, float: Float(value))
                summary.append(1, message: scalar)
            }
            event.append(5, message: summary)
        }
        return event
    }
}

/// As much of the protocol buffers' wire format as events need.
private struct ProtocolBuffer {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ field: UInt64, integer: Int) {
        appendVariable(field << 3)
        appendVariable(UInt64(bitPattern: Int64(integer)))
    }

    mutating func append(_ field: UInt64, double: Double) {
        appendVariable(field << 3 | 1)
        bytes += littleEndian(double.bitPattern)
    }

    mutating func append(_ field: UInt64, float: Float) {
        appendVariable(field << 3 | 5)
        bytes += littleEndian(float.bitPattern)
    }

    mutating func append(_ field: UInt64, text: String) { append(field, Array(text.utf8)) }

    mutating func append(_ field: UInt64, message: ProtocolBuffer) { append(field, message.bytes) }

    private mutating func append(_ field: UInt64, _ content: [UInt8]) {
        appendVariable(field << 3 | 2)
        appendVariable(UInt64(content.count))
        bytes += content
    }

    /// Seven bits a byte, lowest first, the eighth set on all but the last.
    private mutating func appendVariable(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

private func littleEndian<Number: FixedWidthInteger & UnsignedInteger>(_ value: Number) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
