/// A file name pattern over a whole path, with the meaning of Python's `fnmatch`, which the Hub's clients use.
///
/// `*` matches anything, slashes included; `?` one character; `[a-z]` and `[!a-z]` one of a set. A pattern that ends in
/// a slash matches everything below that folder.
struct GlobPattern: Hashable, Sendable {
    private enum Element: Hashable, Sendable {
        case anything
        case anyCharacter
        case literal(Unicode.Scalar)
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)

        func matches(_ scalar: Unicode.Scalar) -> Bool {
            switch self {
            case .anything, .anyCharacter: true
            case .literal(let expected): expected == scalar
            case .set(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
            }
        }
    }

    private let elements: [Element]

    init(_ pattern: String) {
        let scalars = Array((pattern.hasSuffix("/") ? pattern + "*" : pattern).unicodeScalars)
        var elements: [Element] = []
        var position = 0
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            switch scalar {
            case "*": if elements.last != .anything { elements.append(.anything) }
            case "?": elements.append(.anyCharacter)
            case "[":
                if let (set, end) = Self.set(in: scalars, at: position) {
                    elements.append(set)
                    position = end
                } else {
                    elements.append(.literal("["))
                }
            default: elements.append(.literal(scalar))
            }
        }
        self.elements = elements
    }

    /// Whether the pattern describes the whole path.
    func matches(_ path: String) -> Bool {
        let scalars = Array(path.unicodeScalars)
        var element = 0
        var position = 0
        // Where to go on when a guess of how much the last `*` takes was wrong: it then takes one character more.
        var retry: (element: Int, position: Int)?
        while position < scalars.count {
            if element < elements.count, elements[element] == .anything {
                retry = (element + 1, position)
                element += 1
            } else if element < elements.count, elements[element].matches(scalars[position]) {
                element += 1
                position += 1
            } else if let last = retry {
                retry = (last.element, last.position + 1)
                element = last.element
                position = last.position + 1
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { $0 == .anything }
    }

    /// Reads a set behind its opening bracket; nil when it is not closed.
    private static func set(in scalars: [Unicode.Scalar], at start: Int) -> (Element, Int)? {
        var position = start
        let isNegated = position < scalars.count && scalars[position] == "!"
        if isNegated { position += 1 }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        let first = position
        while position < scalars.count {
            let lower = scalars[position]
            // A closing bracket in first place is a member.
            if lower == "]", position > first { return (.set(ranges, isNegated: isNegated), position + 1) }
            if position + 2 < scalars.count, scalars[position + 1] == "-", scalars[position + 2] != "]" {
                if lower <= scalars[position + 2] { ranges.append(lower...scalars[position + 2]) }
                position += 3
            } else {
                ranges.append(lower...lower)
                position += 1
            }
        }
        return nil
    }
}
