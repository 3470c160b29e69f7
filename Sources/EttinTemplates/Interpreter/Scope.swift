/// The variables of a part of a template: the whole, one round of a loop, one call of a macro.
final class Scope {
    private var variables: [(name: String, value: Value)] = []
    /// Where in `variables` names are, once there are more than are found sooner one by one.
    private var positions: [String: Int] = [:]
    private let parent: Scope?

    init(inside parent: Scope?) { self.parent = parent }

    func value(of name: String) -> Value? {
        var scope = self
        while true {
            if let position = scope.position(of: name) { return scope.variables[position].value }
            guard let parent = scope.parent else { return nil }
            scope = parent
        }
    }

    private func position(of name: String) -> Int? {
        positions.isEmpty ? variables.firstIndex { $0.name == name } : positions[name]
    }

    func removeAll() { (variables, positions) = ([], [:]) }

    func set(_ name: String, _ value: Value) {
        if let position = position(of: name) {
            variables[position].value = value
            return
        }
        variables.append((name, value))
        if !positions.isEmpty {
            positions[name] = variables.count - 1
        } else if variables.count > 12 {
            for (position, variable) in variables.enumerated() { positions[variable.name] = position }
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
