import EttinFiles
package import EttinJSON

/// Which modules of a model are meant, by the names that transformers gives them.
///
/// > Source: PEFT 0.21 `tuners/tuners_utils.py`, `check_target_module_exists`.
public enum ModuleSelection: Hashable, Sendable {
    /// Modules whose name is one of these or ends in a period and one of these.
    case names([String])
    /// Modules whose whole name a regular expression matches.
    case expression(String)
    /// Every linear layer but the output layer; as `target_modules` alone.
    case allLinear

    /// What PEFT writes for ``allLinear``.
    static let allLinearName = "all-linear"

    /// Reads a selection: a list of names, a regular expression, or `all-linear`.
    ///
    /// - Parameter text: A regular expression, or `all-linear` in any case.
    package init(text: String) {
        self = text.lowercased() == Self.allLinearName ? .allLinear : .expression(text)
    }

    /// Reads a selection of a file; nil for null.
    ///
    /// - Parameter value: A list of names or a string.
    init?(_ value: JSONValue) {
        if let text = value.stringValue {
            self.init(text: text)
            return
        }
        guard let values = value.arrayValue else { return nil }
        let names = values.compactMap(\.stringValue)
        guard names.count == values.count else { return nil }
        self = .names(names)
    }

    /// What a file says.
    package var json: JSONValue {
        switch self {
        case .names(let names): .array(names.map(JSONValue.string))
        case .expression(let text): .string(text)
        case .allLinear: .string(Self.allLinearName)
        }
    }

    /// Whether a module's name is a name or ends in a period and it.
    static func matches(_ module: String, _ name: String) -> Bool { module == name || module.hasSuffix("." + name) }
}

/// A regular expression that a recipe or a file has.
struct ModuleExpression {
    private let expression: Regex<AnyRegexOutput>

    /// Compiles an expression.
    ///
    /// - Parameters:
    ///   - pattern: As Python's `re` has them.
    ///   - key: The key that it is from.
    ///   - file: The file or recipe, for messages.
    /// - Throws: `CheckpointError` for a pattern that is none.
    init(_ pattern: String, key: String, file: String) throws {
        do {
            expression = try Regex(pattern)
        } catch {
            throw CheckpointError(
                .malformed,
                file: file,
                item: quoted(key),
                found: "is \(quoted(pattern, limit: 120)), which is no regular expression",
                expected: "a list of names, or an expression that matches whole names"
            )
        }
    }

    /// Whether the expression matches all of a name, as `re.fullmatch`.
    func matches(_ name: String) -> Bool { name.wholeMatch(of: expression) != nil }
}

/// Values by patterns of names, of which the first that matches counts: `rank_pattern` and `alpha_pattern`.
///
/// > Source: PEFT 0.21 `utils/other.py`, `get_pattern_key`.
struct PatternValues<Value: Hashable & Sendable> {
    private let entries: [(expression: ModuleExpression, value: Value)]

    init(_ patterns: [LoRAConfiguration.Pattern<Value>], key: String, file: String) throws {
        entries = try patterns.map {
            (try ModuleExpression("(?:.*\\.)?(?:\($0.pattern))", key: key, file: file), $0.value)
        }
    }

    /// The value for a module; nil where no pattern matches its name.
    subscript(name: String) -> Value? { entries.first { $0.expression.matches(name) }?.value }
}
