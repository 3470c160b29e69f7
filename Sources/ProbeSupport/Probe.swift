// What the drivers for the checks in Interop/ and Benchmarks/ have in common.

package import EttinJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What is wrong with a call or a request.
package struct ProbeError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Calls `run` with the command's arguments; what it throws goes to standard error, and the command fails.
package func runProbe(_ run: ([String]) throws -> Void) {
    do {
        try run(Array(CommandLine.arguments.dropFirst()))
    } catch {
        let message = Array("error: \(error)\n".utf8)
        _ = message.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        exit(1)
    }
}

/// Answers each line of standard input, a request in JSON, with one line; errors with `{"error": "…"}`.
package func serve(_ answer: (JSONValue) throws -> JSONValue) {
    while let line = readLine() {
        do {
            send(try answer(JSONValue(parsing: line)))
        } catch {
            send(["error": .string("\(error)")])
        }
    }
}

/// Prints a line that the reader gets at once.
package func send(_ value: JSONValue) {
    print(value.text())
    fflush(nil)
}
