/// The variables of a part of a template: the whole, one round of a loop, one call of a macro.
final class Scope {
    private var variables: [(name: String, value: Value)] = []
    private let parent: Scope?

    init(inside parent: Scope?) { self.parent = parent }

    func value(of name: String) -> Value? {
        var scope = self
        while true {
            if let found = scope.variables.last(where: { $0.name == name }) { return found.value }
            guard let parent = scope.parent else { return nil }
            scope = parent
        }
    }

    func removeAll() { variables = [] }

    func set(_ name: String, _ value: Value) {
        if let position = variables.firstIndex(where: { $0.name == name }) {
            variables[position].value = value
        } else {
            variables.append((name, value))
        }
    }
}

/// A macro with the variables that were there where it was defined.
final class Macro {
    let definition: MacroDefinition
    let scope: Scope

    init(_ definition: MacroDefinition, in scope: Scope) { (self.definition, self.scope) = (definition, scope) }
}

/// What a loop calls `loop`.
final class LoopState {
    let values: [Value]
    let depth: Int
    /// The loop and where it stands, for a recursive one.
    let recursion: (loop: Loop, scope: Scope)?
    var index = 0
    var lastSeen: [Value]?

    init(_ values: [Value], depth: Int, recursion: (loop: Loop, scope: Scope)?) {
        (self.values, self.depth, self.recursion) = (values, depth, recursion)
    }

    func attribute(_ name: String) -> Value? {
        switch name {
        case "index": .int(index + 1)
        case "index0": .int(index)
        case "revindex": .int(values.count - index)
        case "revindex0": .int(values.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == values.count - 1)
        case "length": .int(values.count)
        case "depth": .int(depth)
        case "depth0": .int(depth - 1)
        case "previtem":
            index > 0 ? values[index - 1] : .undefined(Undefined(reason: "there is no previous item"))
        case "nextitem":
            index + 1 < values.count ? values[index + 1] : .undefined(Undefined(reason: "there is no next item"))
        case "cycle", "changed": .method(BoundMethod(.loop(self), name))
        default: nil
        }
    }
}
