import ArgumentParser
import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The process: arguments in, an exit code out.
@main
enum Program {
    static func main() {
        CrashReport.install(
            program: "ettin \(EttinCommand.version)",
            command: Array(CommandLine.arguments.dropFirst())
        )
        let signals = Interruption.handle()
        let code = withExtendedLifetime(signals) { run(arguments()) }
        exit(code)
    }

    /// The arguments; Swift would silently repair those that are not UTF-8.
    private static func arguments() -> Result<[String], ValidationError> {
        let count = Int(CommandLine.argc)
        var texts: [String] = []
        for (index, pointer) in UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: count).enumerated() {
            guard let pointer else { continue }
            guard let text = String(validatingCString: pointer) else {
                return .failure(ValidationError("argument \(index) is not UTF-8 text"))
            }
            texts.append(text)
        }
        return .success(Array(texts.dropFirst()))
    }

    private static func run(_ arguments: Result<[String], ValidationError>) -> Int32 {
        var words: String?
        do {
            var command = try EttinCommand.parseAsRoot(arguments.get())
            words = path(of: type(of: command))
            try command.run()
            return 0
        } catch is StandardOutput.Closed {
            // Who closed our output has what they wanted.
            return 0
        } catch is CancellationError {
            // Work that was asked to stop has done so.
            return 130
        } catch {
            return report(error, in: words)
        }
    }

    /// The words that call a command, such as `ettin data chunk`.
    private static func path(
        of type: any ParsableCommand.Type,
        below parent: any ParsableCommand.Type = EttinCommand.self,
        named name: String = "ettin"
    ) -> String? {
        guard parent != type else { return name }
        for child in parent.configuration.subcommands {
            if let found = path(of: type, below: child, named: "\(name) \(child._commandName)") { return found }
        }
        return nil
    }

    /// Reports an error; `words` are those of the command that has thrown it when it ran.
    private static func report(_ error: any Error, in words: String?) -> Int32 {
        let code = EttinCommand.exitCode(for: error)
        let message = EttinCommand.message(for: error)
        switch code {
        case .success:
            do {
                try StandardOutput.write { try $0.line(message) }
            } catch is StandardOutput.Closed {
                return 0
            } catch {
                Diagnostics.error("\(error)")
                return 1
            }
        case .validationFailure:
            var text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
            if text.last == "." { text.removeLast() }
            Diagnostics.error(text + (words.map { "; see '\($0) --help'" } ?? hint(for: error)))
        default:
            Diagnostics.error(message)
        }
        return code.rawValue
    }

    /// Where to read on: the parser names the command's help in the last line of its long message.
    private static func hint(for error: any Error) -> String {
        let lines = EttinCommand.fullMessage(for: error).split(whereSeparator: \.isNewline)
        let parts = lines.last?.split(separator: "'", omittingEmptySubsequences: false) ?? []
        return parts.count == 3 && parts[1].hasSuffix("--help") ? "; see '\(parts[1])'" : ""
    }
}
