import EttinJSON
import Foundation
import Testing

@Suite("The process")
struct ProcessTests {
    @Test("A reader that has gone ends the command quietly")
    func brokenPipe() throws {
        let process = Process()
        process.executableURL = Command.binary
        process.arguments = ["models", "--json"]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try output.fileHandleForReading.close()
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 0)
        try errors.fileHandleForWriting.close()
        #expect(try errors.fileHandleForReading.readToEnd() ?? Data() == Data())
    }

    @Test("A full disk is an error", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "no /dev/full"))
    func fullDisk() throws {
        let process = Process()
        process.executableURL = Command.binary
        process.arguments = ["models"]
        let errors = Pipe()
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: "/dev/full"))
        process.standardError = errors
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 1)
        try errors.fileHandleForWriting.close()
        let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(text.hasPrefix("error: standard output: cannot be written"))
    }

    // SIGABRT is blocked in processes that a thread of libdispatch's has started; `abort` unblocks it first.
    @Test(
        "A crash says so in a few lines, and ends the process by its signal",
        .timeLimit(.minutes(1)),
        arguments: [SIGSEGV, SIGTRAP, SIGILL]
    )
    func crash(number: Int32) throws {
        try withTemporaryFolder { folder in
            let process = Process()
            process.executableURL = Command.binary
            process.arguments = ["embed", folder, "--input", "-"]
            process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "SWIFT_BACKTRACE" }
            try Data().write(to: URL(filePath: "\(folder)/err"))
            process.standardError = try FileHandle(forWritingTo: URL(filePath: "\(folder)/err"))
            let input = Pipe()
            process.standardInput = input
            try process.run()
            // More than a pipe holds: once it is written, the command is reading.
            try input.fileHandleForWriting.write(contentsOf: Data(repeating: UInt8(ascii: "\n"), count: 1 << 20))
            kill(process.processIdentifier, number)
            process.waitUntilExit()
            #expect(process.terminationReason == .uncaughtSignal)
            #expect(process.terminationStatus == number)
            let text = try String(contentsOfFile: "\(folder)/err", encoding: .utf8)
            let lines = text.split(separator: "\n").drop { !$0.hasPrefix("crashed: ") }
            #expect(lines.count == 4)
            #expect(text.contains("issue tracker") && text.contains("ettin 0.1.0 embed"))
        }
    }

    @Test("An interrupted command exits with 130 and leaves nothing", .timeLimit(.minutes(1)))
    func interruption() throws {
        try withTemporaryFolder { folder in
            let process = Process()
            process.executableURL = Command.binary
            // Drawing so many weights takes long enough to be interrupted.
            process.arguments = ["init", "\(folder)/model", "--size", "150m", "--kind", "encoder"]
            process.standardError = FileHandle.nullDevice
            try process.run()
            // The signal is handled from the start; the temporary folder shows that work has begun.
            while try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty, process.isRunning {
                usleep(1000)
            }
            process.interrupt()
            process.waitUntilExit()
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == 130)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }
    }

    @Test("An interrupted generation ends after a token with 130", .timeLimit(.minutes(1)))
    func drainedGeneration() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            // More prompts than are continued before the signal.
            let prompts = try write(String(repeating: "The capital\n", count: 50_000), to: "\(folder)/prompts.txt")
            let path = try write("", to: "\(folder)/out")
            let process = Process()
            process.executableURL = Command.binary
            process.arguments = ["generate", models.decoder, "--input", prompts, "--stream", "--json"]
            process.standardOutput = try FileHandle(forWritingTo: URL(filePath: path))
            process.standardError = FileHandle.nullDevice
            try process.run()
            while try Data(contentsOf: URL(filePath: path)).isEmpty, process.isRunning { usleep(1000) }
            process.interrupt()
            process.waitUntilExit()
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == 130)
            let output = try String(contentsOfFile: path, encoding: .utf8)
            #expect(output.hasSuffix("}\n"))
            for line in output.split(separator: "\n") { _ = try JSONValue(parsing: String(line)) }
        }
    }

    @Test("Arguments that are not UTF-8 are refused")
    func argumentEncoding() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "\"$0\" tokenize model \"$(printf 'caf\\351')\"", Command.binary.path]
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 64)
        try errors.fileHandleForWriting.close()
        let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(text.hasPrefix("error: argument 3 is not UTF-8 text"))
    }
}
