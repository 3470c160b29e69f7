import EttinFiles
package import Yams

/// Reads the one document of a YAML file, with an error that names file and line for whatever is not YAML.
package struct YAMLDocument {
    /// The file, for messages.
    package let name: String
    /// What the document is to be, for messages.
    package let expected: String

    package init(name: String, expected: String) {
        self.name = name
        self.expected = expected
    }

    package func root(_ bytes: [UInt8]) throws -> Node {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RecipeError(.malformed, name, found: "is not UTF-8", expected: "YAML")
        }
        try checkNesting(bytes)
        do {
            guard let node = try compose(yaml: text) else { throw malformed("there is no document", nil) }
            return node
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                throw malformed(problem, mark)
            case .reader(let problem, _, _, _): throw malformed(problem, nil)
            case .duplicatedKeysInMapping(let duplicates, let context):
                let keys = duplicates.sorted().map { quoted($0, limit: 80) }.joined(separator: ", ")
                throw malformed("\(keys) occurs twice", context.mark)
            default: throw malformed("\(error)", nil)
            }
        }
    }

    private func malformed(_ found: String, _ mark: Mark?) -> RecipeError {
        RecipeError(
            .malformed,
            name,
            item: mark.map { "line \($0.line)" },
            found: "is not YAML: \(found)",
            expected: expected
        )
    }

    // Yams descends by recursion, for which a text of brackets alone would have no end. Brackets nest, and so does what
    // stands behind indentation and dashes; both are counted generously.
    private func checkNesting(_ bytes: [UInt8]) throws {
        var (line, depth, indentation, isIndented) = (1, 0, 0, true)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\n"): (line, indentation, isIndented) = (line + 1, 0, true)
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
            case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "?"): indentation += isIndented ? 1 : 0
            default: isIndented = false
            }
            guard depth <= 64, indentation <= 256 else {
                throw RecipeError(
                    .malformed,
                    name,
                    item: "line \(line)",
                    found: "is nested too deep",
                    expected: expected
                )
            }
        }
    }
}
