/// A node of an expression.
final class Expression {
    /// What the node is.
    enum Kind {
        case constant(Value)
        case name(String)
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
        case call(Expression, Arguments)
        /// A filter; without a target where it applies to a block.
        case filter(Expression?, String, Arguments)
        case test(Expression, String, Arguments)
        case not(Expression)
        case negative(Expression)
        case positive(Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case arithmetic(Symbol, Expression, Expression)
        case comparison(Expression, [(Comparison, Expression)])
        case concatenation([Expression])
        case conditional(Expression, then: Expression, else: Expression?)
        case list([Expression])
        case tuple([Expression])
        case dict([(key: Expression, value: Expression)])
    }

    let kind: Kind
    /// Byte offset in the source.
    let offset: Int
    /// How many nodes there are from here down, this one included.
    let depth: Int

    init(_ kind: Kind, at offset: Int, depth: Int) {
        (self.kind, self.offset, self.depth) = (kind, offset, depth)
    }
}

/// A comparison in a chain.
enum Comparison: String {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
}

/// The arguments of a call, a filter or a test.
struct Arguments {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
    /// What stands behind `*`.
    var list: Expression?
    /// What stands behind `**`.
    var mapping: Expression?

    var depth: Int {
        let nodes = positional + named.map(\.value) + [list, mapping].compactMap(\.self)
        return nodes.map(\.depth).max() ?? 0
    }

    /// Whether there are none.
    var isEmpty: Bool { positional.isEmpty && named.isEmpty && list == nil && mapping == nil }
}
