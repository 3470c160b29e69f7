import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Standard output, which carries data and nothing else.
final class StandardOutput {
    /// The reader of standard output has gone; there is nobody left to work for.
    struct Closed: Error {}

    private var pending: [UInt8] = []
    /// On a terminal every line is shown at once.
    private let bufferSize = isatty(1) == 1 ? 0 : 1 << 16

    /// Gives a body an output whose lines are all written when it returns.
    static func write(_ body: (StandardOutput) throws -> Void) throws {
        let output = StandardOutput()
        try body(output)
        try output.flush()
    }

    /// Writes one document.
    static func write(document: JSONValue) throws {
        try write { try $0.line(document.text(JSONWritingOptions(layout: .indented(2)))) }
    }

    /// Writes bytes as they are.
    static func write(bytes: [UInt8]) throws {
        try writeAll(bytes, to: 1)
    }

    /// Adds a line.
    func line(_ text: String) throws {
        try line(utf8: text.utf8)
    }

    /// Adds a line.
    func line(utf8 text: some Sequence<UInt8>) throws {
        pending.append(contentsOf: text)
        pending.append(UInt8(ascii: "\n"))
        if pending.count > bufferSize { try flush() }
    }

    /// Adds a line of JSON.
    func line(_ value: JSONValue) throws {
        try line(value.text())
    }

    /// Adds a piece of a line and shows it at once.
    func piece(_ text: String) throws {
        pending.append(contentsOf: text.utf8)
        try flush()
    }

    private func flush() throws {
        try writeAll(pending, to: 1)
        pending.removeAll(keepingCapacity: true)
    }
}

/// Standard error, for everything that is not data.
enum Diagnostics {
    /// Writes a line for people.
    static func note(_ text: String) {
        // There is nowhere to report that standard error is closed.
        try? writeAll(Array("\(text)\n".utf8), to: 2)
    }

    /// Writes a piece of a line.
    static func piece(_ text: String) {
        try? writeAll(Array(text.utf8), to: 2)
    }

    /// Writes one line per problem.
    static func error(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) { note("error: \(line)") }
    }
}

/// The system call that failed on an output.
struct OutputError: Error, CustomStringConvertible {
    let reason: String

    var description: String { "standard output: cannot be written (\(reason))" }
}

private func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
        let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written < 0 else {
            rest = rest.dropFirst(written)
            continue
        }
        switch errno {
        case EINTR: continue
        case EPIPE: throw StandardOutput.Closed()
        default: throw OutputError(reason: String(cString: strerror(errno)))
        }
    }
}
