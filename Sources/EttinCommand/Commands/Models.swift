import ArgumentParser
import EttinJSON
import EttinModel

/// The command `ettin models`.
struct Models: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the models of the suite and their purpose.",
        discussion: """
            Examples:

              ettin models
              ettin models --json
            """
    )

    @OptionGroup var json: JSONOption

    func run() throws {
        if json.isOn { return try StandardOutput.write(document: .array(EttinSuite.models.map(description(of:)))) }
        try StandardOutput.write { output in
            for model in EttinSuite.models {
                let name = model.repository.padded(to: 32)
                try output.line("\(name)  \(model.size.rawValue.padded(to: 4))  \(model.purpose)")
            }
        }
    }

    private func description(of model: EttinSuite.Model) -> JSONValue {
        [
            "name": .string(model.repository),
            "kind": .string(model.kind.name),
            "size": .string(model.size.rawValue),
            "parameters": JSONValue(model.parameterCount),
            "origin": .string(model.origin.rawValue),
            "purpose": .string(model.purpose),
        ]
    }
}

extension String {
    /// The text with spaces behind it, for columns.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
