import EttinJSON
import Testing

@Suite("Help of the command")
struct HelpTests {
    /// A command as the command itself describes it.
    struct Described: CustomStringConvertible, Sendable {
        let path: [String]
        let abstract: String
        /// Arguments and options that help says nothing about.
        let undescribed: [String]

        var description: String { (["ettin"] + path).joined(separator: " ") }
    }

    private static let tree = Result { try Command.succeed(["--experimental-dump-help"]).document() }

    /// Every command but `help`, which the argument parser adds by itself.
    static func commands() throws -> [Described] {
        let root = try #require(try tree.get()["command"])
        return try described(root, path: []).filter { $0.path != ["help"] }
    }

    private static func described(_ command: JSONValue, path: [String]) throws -> [Described] {
        let undescribed = (command["arguments"]?.arrayValue ?? []).filter {
            ($0["abstract"]?.stringValue ?? "").isEmpty
        }
        let own = Described(
            path: path,
            abstract: command["abstract"]?.stringValue ?? "",
            undescribed: undescribed.map { $0["valueName"]?.stringValue ?? $0.text() }
        )
        return try (command["subcommands"]?.arrayValue ?? []).reduce(into: [own]) {
            $0 += try described($1, path: path + [try #require($1["commandName"]?.stringValue)])
        }
    }

    @Test("Every command explains itself with an example, and each of its options", arguments: try commands())
    func help(_ command: Described) throws {
        let result = try Command.succeed(command.path + ["--help"])
        #expect(!command.abstract.isEmpty)
        // A long one is broken into lines.
        #expect(result.output.replacing("\n", with: " ").hasPrefix("OVERVIEW: \(command.abstract)"))
        #expect(result.output.contains("\n  \(command)"))
        #expect(result.output.contains("USAGE: ettin"))
        #expect(command.undescribed == [])
        #expect(result.errors == "")
    }

    @Test("Without a command, help is printed and lists every command")
    func listsAll() throws {
        let result = try Command.succeed([])
        let names = try Self.commands().filter { $0.path.count == 1 }.map { $0.path[0] }
        // Those that a tree cut short would lack.
        #expect(Set(names).isSuperset(of: ["tokenize", "data", "pretrain", "suite", "cache", "env"]))
        for name in names { #expect(result.output.contains("\n  \(name) ")) }
    }

    @Test("The version is a number")
    func version() throws {
        let result = try Command.succeed(["--version"])
        #expect(result.output.split(separator: ".").count == 3)
    }

    @Test(
        "Wrong usage is one line that names the help to read",
        arguments: [
            (["nonsense"], "Unexpected argument 'nonsense'; see 'ettin --help'"),
            (["tokenize"], "Missing expected argument '<model>'; see 'ettin tokenize --help'"),
            (["embed", "m", "x", "--nonsense"], "Unknown option '--nonsense'; see 'ettin embed --help'"),
            (["tokenizer", "train", "f", "--output", "o"], "see 'ettin tokenizer train --help'"),
            // Found when the command ran already.
            (["info", ".", "--kind", "encoder"], "; . is not one; see 'ettin info --help'"),
        ]
    )
    func usage(_ arguments: [String], _ message: String) throws {
        try Command.fail(arguments, code: 64, saying: message)
    }
}
