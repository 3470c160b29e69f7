// What the subcommands have in common.

import EttinJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What is wrong with a call or a request.
struct ProbeError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Writes an error to standard error and ends the program.
func fail(_ error: any Error) -> Never {
    let message = Array("error: \(error)\n".utf8)
    _ = message.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    exit(1)
}

/// Prints how a subcommand is called and ends the program.
func endWithUsage(_ text: String) -> Never {
    print(text)
    exit(64)
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure(body) / .seconds(1)
}

/// Bytes in hexadecimal digits.
func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
    }
    return String(decoding: text, as: UTF8.self)
}

/// Answers each line of standard input, a request in JSON, with one line; errors with `{"error": "…"}`.
func serve(_ answer: (JSONValue) throws -> JSONValue) {
    while let line = readLine() {
        do {
            send(try answer(JSONValue(parsing: line)))
        } catch {
            send(["error": .string("\(error)")])
        }
    }
}

/// Prints a line that the reader gets at once.
func send(_ value: JSONValue) {
    print(value.text())
    fflush(nil)
}
