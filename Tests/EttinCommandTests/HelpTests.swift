import Testing

@Suite("Help of the command")
struct HelpTests {
    static let commands: [[String]] = [
        [], ["tokenize"], ["tokenizer"], ["tokenizer", "train"], ["env"], ["info"], ["models"], ["init"],
        ["fill-mask"], ["embed"], ["generate"], ["bench"], ["report"], ["data"], ["data", "tokenize"],
        ["data", "chunk"],
        ["data", "split"], ["data", "mix"], ["data", "recipes"], ["data", "extend"], ["data", "merge"],
        ["data", "inspect"], ["data", "verify"],
        ["data", "export-order"], ["data", "import-order"], ["data", "fetch"], ["download"], ["revisions"], ["push"],
        ["convert"], ["average"], ["pair"], ["pair", "verify"],
        ["cache"], ["cache", "ls"], ["cache", "rm"], ["cache", "verify"],
    ]

    @Test("Every command explains itself with an example", arguments: commands)
    func help(_ command: [String]) throws {
        let result = try Command.succeed(command + ["--help"])
        #expect(result.output.hasPrefix("OVERVIEW: "))
        #expect(result.output.contains("\n  ettin \(command.joined(separator: " "))"))
        #expect(result.output.contains("USAGE: ettin"))
        #expect(result.errors == "")
    }

    @Test("Without a command, help is printed and lists every command")
    func listsAll() throws {
        let result = try Command.succeed([])
        for command in Self.commands where command.count == 1 { #expect(result.output.contains("\n  \(command[0]) ")) }
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
        ]
    )
    func usage(_ arguments: [String], _ message: String) throws {
        try Command.fail(arguments, code: 64, saying: message)
    }
}
