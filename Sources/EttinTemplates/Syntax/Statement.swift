/// A piece of a template's body.
struct Statement {
    /// What the piece is.
    indirect enum Kind {
        case data(Text)
        case output(Expression)
        case branches([(test: Expression, body: [Statement])], else: [Statement])
        case loop(Loop)
        case set(Target, Expression)
        case setBlock(Target, filter: Expression?, body: [Statement])
        case macro(MacroDefinition)
        case callBlock(MacroDefinition, call: Expression)
        case filterBlock(Expression, body: [Statement])
        case with([(target: Target, value: Expression)], body: [Statement])
        case generation([Statement])
        case breakLoop
        case continueLoop
    }

    let kind: Kind
    /// Byte offset in the source.
    let offset: Int
}

/// What a value is assigned to.
indirect enum Target {
    case name(String)
    case attribute(namespace: String, name: String)
    case tuple([Target])
}

/// A `for` loop.
struct Loop {
    let target: Target
    let iterable: Expression
    let filter: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]
}

/// A macro, or the body of a `call` block, which is one without a name.
final class MacroDefinition {
    let name: String
    let parameters: [(name: String, fallback: Expression?)]
    let body: [Statement]
    /// Whether the body reads the arguments that no parameter takes.
    let (readsExtraArguments, readsExtraNames): (Bool, Bool)

    init(name: String, parameters: [(name: String, fallback: Expression?)], body: [Statement], names: Set<String>) {
        (self.name, self.parameters, self.body) = (name, parameters, body)
        (readsExtraArguments, readsExtraNames) = (names.contains("varargs"), names.contains("kwargs"))
    }
}
