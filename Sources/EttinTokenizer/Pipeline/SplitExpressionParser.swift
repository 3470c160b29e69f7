/// Reads the regular expressions of pre-tokenizers, in the syntax of Oniguruma.
struct SplitExpressionParser {
    /// What is not supported, as it stands in the pattern.
    struct Unsupported: Error {
        let what: String
    }

    private indirect enum Node {
        case byte(UInt8)
        case set(Int)
        case sequence([Node])
        case alternatives([Node])
        case repetition(Node, least: Int, most: Int, kind: Kind)
        case look(Node, isNegative: Bool)
        case wordBoundary(isNegative: Bool)
        case lineEnd
    }

    private enum Kind {
        case greedy, lazy, possessive
    }

    /// Longer patterns, and counts above this, would make programs that nobody needs.
    private static let longestPattern = 4096
    private static let largestCount = 1000
    private static let longestProgram = 20_000
    private static let deepestGroup = 32
    private static let unbounded = Int.max

    private let scalars: [Unicode.Scalar]
    private let hasUnicodeWords: Bool
    private var position = 0
    private var depth = 0
    private var sets: [SplitExpression.CharacterSet] = []
    private var instructions: [SplitExpression.Instruction] = []

    /// Reads a pattern.
    ///
    /// - Parameters:
    ///   - source: The pattern.
    ///   - hasUnicodeWords: Whether `\w` has the characters of Unicode, not those of Oniguruma.
    /// - Returns: The expression.
    /// - Throws: `Unsupported` naming the part that is not supported.
    static func parse(_ source: String, hasUnicodeWords: Bool = false) throws(Unsupported) -> SplitExpression {
        var parser = SplitExpressionParser(
            scalars: Array(source.unicodeScalars),
            hasUnicodeWords: hasUnicodeWords
        )
        guard parser.scalars.count <= longestPattern else { throw Unsupported(what: "a longer pattern") }
        return try parser.expression(source)
    }

    private init(scalars: [Unicode.Scalar], hasUnicodeWords: Bool) {
        self.scalars = scalars
        self.hasUnicodeWords = hasUnicodeWords
    }

    private mutating func expression(_ source: String) throws(Unsupported) -> SplitExpression {
        let root = try alternatives(ignoresCase: false)
        guard position == scalars.count else { throw Unsupported(what: "an unmatched )") }
        let branches = if case .alternatives(let branches) = root { branches } else { [root] }
        var compiled: [(start: Int, firstBytes: [Bool])] = []
        for branch in branches {
            let first = firstBytes(branch)
            guard !first.canBeEmpty else { throw Unsupported(what: "a match of no characters") }
            compiled.append((instructions.count, first.bytes))
            try compile(branch)
            instructions.append(.accept)
        }
        for index in instructions.indices.dropLast() {
            guard case .loop(let set, let least, let most, true) = instructions[index],
                case .accept = instructions[index + 1]
            else { continue }
            // Nothing follows that could need characters back.
            instructions[index] = .loop(set: set, least: least, most: most, givesBack: false)
        }
        return SplitExpression(source: source, instructions: instructions, sets: sets, alternatives: compiled)
    }

    // MARK: - Syntax

    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < scalars.count ? scalars[position + ahead] : nil
    }

    private mutating func take(_ text: String) -> Bool {
        let expected = Array(text.unicodeScalars)
        guard scalars[position...].starts(with: expected) else { return false }
        position += expected.count
        return true
    }

    private mutating func alternatives(ignoresCase: Bool) throws(Unsupported) -> Node {
        var branches: [Node] = []
        repeat {
            branches.append(try sequence(ignoresCase))
        } while take("|")
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence(_ ignoresCase: Bool) throws(Unsupported) -> Node {
        var nodes: [Node] = []
        var lastFolded: Unicode.Scalar?
        while let scalar = peek(), scalar != "|", scalar != ")" {
            if take("(?i)") {
                // All that follows in the group belongs to it, other branches too: `a(?i)b|c` is `a(?i:b|c)`.
                nodes.append(try inner { (parser) throws(Unsupported) in try parser.alternatives(ignoresCase: true) })
                break
            }
            if ignoresCase, let last = lastFolded,
                ["ss", "st", "ff", "fi", "fl"].contains("\(last)\(scalar)".lowercased())
            {
                throw Unsupported(what: "\(last)\(scalar) without regard to case")
            }
            lastFolded = ignoresCase ? scalar : nil
            nodes.append(try quantified(try atom(ignoresCase)))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func quantified(_ atom: Node) throws(Unsupported) -> Node {
        var node = atom
        while let bounds = try bounds() {
            let isInterval = scalars[position - 1] == "}"
            var kind = Kind.greedy
            // `x{2}?` is `(?:x{2})?`.
            if !bounds.isCount, take("?") {
                kind = .lazy
            } else if !isInterval, take("+") {
                kind = .possessive
            }
            if case .look = node { throw Unsupported(what: "a repeated look-ahead") }
            if case .wordBoundary = node { throw Unsupported(what: "a repeated \\b") }
            if case .lineEnd = node { throw Unsupported(what: "a repeated $") }
            if case .repetition(let inner, let least, let most, .greedy) = node, least <= 1, kind == .greedy,
                case .set = inner
            {
                // `x{1,3}+` repeats what is repeated.
                guard most == Self.unbounded || most <= Self.largestCount else {
                    throw Unsupported(what: "so many repetitions")
                }
                let isUnbounded = most == Self.unbounded || bounds.most == Self.unbounded
                let times = isUnbounded ? Self.unbounded : most * bounds.most
                node = .repetition(inner, least: least * bounds.least, most: times, kind: .greedy)
                continue
            }
            let isSet = if case .set = node { true } else { false }
            guard isSet || kind != .possessive else { throw Unsupported(what: "a possessive group") }
            if bounds.most == Self.unbounded, !isSet {
                guard hasFixedLength(node) else { throw Unsupported(what: "a repetition in a repetition") }
                guard !firstBytes(node).canBeEmpty else { throw Unsupported(what: "a repetition of nothing") }
            }
            node = .repetition(node, least: bounds.least, most: bounds.most, kind: kind)
        }
        return node
    }

    private mutating func bounds() throws(Unsupported) -> (least: Int, most: Int, isCount: Bool)? {
        if take("*") { return (0, Self.unbounded, false) }
        if take("+") { return (1, Self.unbounded, false) }
        if take("?") { return (0, 1, false) }
        guard peek() == "{" else { return nil }
        var text = ""
        var ahead = 1
        while let scalar = peek(ahead), scalar != "}", ahead < 12 {
            text.unicodeScalars.append(scalar)
            ahead += 1
        }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard peek(ahead) == "}", parts.count <= 2, let first = parts.first, first.isEmpty || Int(first) != nil,
            !(first.isEmpty && (parts.count == 1 || parts[1].isEmpty))
        else { throw Unsupported(what: "{\(text)}") }
        let least = Int(first) ?? 0
        var most = least
        if parts.count == 2 {
            guard parts[1].isEmpty || Int(parts[1]) != nil else { throw Unsupported(what: "{\(text)}") }
            most = Int(parts[1]) ?? Self.unbounded
        }
        guard least >= 0, least <= Self.largestCount, most >= least, most == Self.unbounded || most <= Self.largestCount
        else { throw Unsupported(what: "{\(text)}") }
        position += ahead + 1
        return (least, most, parts.count == 1)
    }

    private mutating func atom(_ ignoresCase: Bool) throws(Unsupported) -> Node {
        guard let scalar = peek() else { throw Unsupported(what: "an end inside of an expression") }
        switch scalar {
        case "(": return try group(ignoresCase)
        case "[": return try characterClass(ignoresCase)
        case "\\": return try escape(ignoresCase)
        case ".":
            position += 1
            var set = SplitExpression.CharacterSet()
            set.ranges = [10...10]
            set.isNegated = true
            return add(set)
        case "$":
            position += 1
            return .lineEnd
        case "^", "*", "+", "?": throw Unsupported(what: "\(scalar) here")
        default:
            position += 1
            return try literal(scalar, ignoresCase)
        }
    }

    /// Reads what is nested in something.
    private mutating func inner(
        _ read: (inout SplitExpressionParser) throws(Unsupported) -> Node
    ) throws(Unsupported) -> Node {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepestGroup else { throw Unsupported(what: "groups nested so deep") }
        return try read(&self)
    }

    private mutating func group(_ ignoresCase: Bool) throws(Unsupported) -> Node {
        let start = position
        position += 1
        var ignoresCase = ignoresCase
        var look: Bool?
        if take("?=") {
            look = false
        } else if take("?!") {
            look = true
        } else if take("?i:") {
            ignoresCase = true
        } else if take("?-i:") {
            ignoresCase = false
        } else if peek() == "?", !take("?:") {
            let text = scalars[start..<min(start + 4, scalars.count)].map { "\($0)" }.joined()
            throw Unsupported(what: text)
        }
        let content = try inner { (parser) throws(Unsupported) in
            try parser.alternatives(ignoresCase: ignoresCase)
        }
        guard take(")") else { throw Unsupported(what: "an unmatched (") }
        return look.map { .look(content, isNegative: $0) } ?? content
    }

    private mutating func literal(_ scalar: Unicode.Scalar, _ ignoresCase: Bool) throws(Unsupported) -> Node {
        guard ignoresCase, scalar.properties.isAlphabetic else {
            guard scalar.value >= 0x80 else { return .byte(UInt8(scalar.value)) }
            var set = SplitExpression.CharacterSet()
            set.ranges = [scalar.value...scalar.value]
            return add(set)
        }
        guard scalar.isASCII else { throw Unsupported(what: "\(scalar) without regard to case") }
        var set = SplitExpression.CharacterSet()
        set.ranges = Self.folded(scalar.value)
        return add(set)
    }

    /// The characters that are an ASCII letter without regard to case.
    private static func folded(_ letter: UInt32) -> [ClosedRange<UInt32>] {
        let (lower, upper) = (letter | 0x20, letter & ~0x20)
        // The long s and the sign of the unit kelvin fold to ASCII letters.
        let others: [ClosedRange<UInt32>] = lower == 0x73 ? [0x17F...0x17F] : lower == 0x6B ? [0x212A...0x212A] : []
        return [lower...lower, upper...upper] + others
    }

    private mutating func add(_ set: SplitExpression.CharacterSet) -> Node {
        var set = set
        set.freeze()
        sets.append(set)
        return .set(sets.count - 1)
    }

    // MARK: - Escapes and classes

    private mutating func escape(_ ignoresCase: Bool) throws(Unsupported) -> Node {
        if let scalar = peek(1), scalar == "b" || scalar == "B" {
            position += 2
            return .wordBoundary(isNegative: scalar == "B")
        }
        var set = SplitExpression.CharacterSet()
        set.words = hasUnicodeWords ? .unicode : .escape
        guard let scalar = try member(&set, ignoresCase) else { return add(set) }
        return try literal(scalar, ignoresCase)
    }

    /// Reads an escape: adds a class to the set, or returns the one character that it stands for.
    private mutating func member(
        _ set: inout SplitExpression.CharacterSet,
        _ ignoresCase: Bool
    ) throws(Unsupported) -> Unicode.Scalar? {
        guard let scalar = peek(1) else { throw Unsupported(what: "\\ at the end") }
        position += 2
        switch scalar {
        case "s": set.hasSpaces = true
        case "S": set.hasOtherThanSpaces = true
        case "w": set.hasWords = true
        case "W": set.hasOtherThanWords = true
        case "d": set.categories |= try Self.mask("Nd")
        case "D": set.categories |= try Self.allCategories & ~Self.mask("Nd")
        case "p", "P": try property(isNegated: scalar == "P", &set, ignoresCase)
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        case "x": return try hexadecimal(take("{") ? nil : 2, "\\x")
        case "u": return try hexadecimal(4, "\\u")
        default:
            guard !(scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)) else {
                throw Unsupported(what: "\\\(scalar)")
            }
            return scalar
        }
        return nil
    }

    private mutating func hexadecimal(_ digits: Int?, _ name: String) throws(Unsupported) -> Unicode.Scalar {
        var text = ""
        while let scalar = peek(), text.count < digits ?? 8, scalar != "}" {
            text.unicodeScalars.append(scalar)
            position += 1
        }
        let isWhole = digits.map { text.count == $0 } ?? take("}")
        guard isWhole, let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) else {
            throw Unsupported(what: "\(name)\(text)")
        }
        return scalar
    }

    private mutating func property(
        isNegated: Bool,
        _ set: inout SplitExpression.CharacterSet,
        _ ignoresCase: Bool
    ) throws(Unsupported) {
        guard take("{") else { throw Unsupported(what: "\\p without {…}") }
        var isNegated = isNegated
        if take("^") { isNegated.toggle() }
        var name = ""
        while let scalar = peek(), scalar != "}" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}") else { throw Unsupported(what: "\\p{\(name)") }
        if ignoresCase, ["Lu", "Ll", "Lt"].contains(name) {
            throw Unsupported(what: "\\p{\(name)} without regard to case")
        }
        let mask = try Self.mask(name)
        set.categories |= isNegated ? Self.allCategories & ~mask : mask
    }

    private static let allCategories: UInt32 = 1 << UInt32(CharacterClasses.categoryNames.count) - 1

    /// The bits of a category, or of all categories that begin with a letter.
    private static func mask(_ name: String) throws(Unsupported) -> UInt32 {
        var mask: UInt32 = 0
        for (index, category) in CharacterClasses.categoryNames.enumerated()
        where category == name || (name.utf8.count == 1 && category.hasPrefix(name)) {
            mask |= 1 << UInt32(index)
        }
        guard mask != 0 else { throw Unsupported(what: "\\p{\(name)}") }
        return mask
    }

    private mutating func characterClass(_ ignoresCase: Bool) throws(Unsupported) -> Node {
        position += 1
        var set = SplitExpression.CharacterSet()
        set.words = hasUnicodeWords ? .unicode : .bracketed
        set.isNegated = take("^")
        var isEmpty = true
        while let scalar = peek(), scalar != "]" {
            isEmpty = false
            if scalar == "[" { throw Unsupported(what: "[ in a class") }
            if scalar == "&", peek(1) == "&" { throw Unsupported(what: "&& in a class") }
            guard let first = try classScalar(&set, ignoresCase) else {
                if peek() == "-", let following = peek(1), following != "]" {
                    throw Unsupported(what: "-\(following) behind a class")
                }
                continue
            }
            var last = first
            if peek() == "-", let following = peek(1), following != "]" {
                position += 1
                guard let end = try classScalar(&set, ignoresCase), end.value >= first.value else {
                    throw Unsupported(what: "\(first)-\(following) in a class")
                }
                last = end
            }
            set.ranges.append(first.value...last.value)
            guard ignoresCase else { continue }
            guard last.value < 0x80 else { throw Unsupported(what: "\(last) without regard to case") }
            for value in first.value...last.value where Unicode.Scalar(UInt8(value)).properties.isAlphabetic {
                set.ranges += Self.folded(value)
            }
        }
        guard take("]"), !isEmpty else { throw Unsupported(what: "a class without characters or end") }
        return add(set)
    }

    private mutating func classScalar(
        _ set: inout SplitExpression.CharacterSet,
        _ ignoresCase: Bool
    ) throws(Unsupported) -> Unicode.Scalar? {
        guard let scalar = peek() else { return nil }
        if scalar == "\\" { return try member(&set, ignoresCase) }
        position += 1
        return scalar
    }

    // MARK: - Analysis

    private func hasFixedLength(_ node: Node) -> Bool {
        switch node {
        case .byte, .set, .look, .wordBoundary, .lineEnd: true
        case .sequence(let nodes), .alternatives(let nodes): nodes.allSatisfy(hasFixedLength)
        case .repetition(let inner, let least, let most, _): least == most && hasFixedLength(inner)
        }
    }

    /// The bytes that a match can begin with, and whether it can be empty.
    private func firstBytes(_ node: Node) -> (bytes: [Bool], canBeEmpty: Bool) {
        var bytes = [Bool](repeating: false, count: 256)
        switch node {
        case .byte(let byte):
            bytes[Int(byte)] = true
            return (bytes, false)
        case .set(let index):
            let set = sets[index]
            for scalar in 0..<128 as Range<UInt32> { bytes[Int(scalar)] = set.contains(scalar) }
            let hasOthers =
                set.isNegated || set.categories != 0 || set.hasSpaces || set.hasOtherThanSpaces || set.hasWords
                || set.hasOtherThanWords || set.ranges.contains { $0.upperBound >= 0x80 }
            if hasOthers { for lead in 0xC2..<0xF5 { bytes[lead] = true } }
            return (bytes, false)
        case .sequence(let nodes):
            for node in nodes {
                let first = firstBytes(node)
                for byte in 0..<256 where first.bytes[byte] { bytes[byte] = true }
                guard first.canBeEmpty else { return (bytes, false) }
            }
            return (bytes, true)
        case .alternatives(let nodes):
            var canBeEmpty = false
            for first in nodes.map(firstBytes) {
                for byte in 0..<256 where first.bytes[byte] { bytes[byte] = true }
                canBeEmpty = canBeEmpty || first.canBeEmpty
            }
            return (bytes, canBeEmpty)
        case .repetition(let inner, let least, _, _):
            let first = firstBytes(inner)
            return (first.bytes, first.canBeEmpty || least == 0)
        case .look, .wordBoundary, .lineEnd: return (bytes, true)
        }
    }

    // MARK: - Instructions

    private mutating func compile(_ node: Node) throws(Unsupported) {
        guard instructions.count < Self.longestProgram else { throw Unsupported(what: "so many repetitions") }
        switch node {
        case .byte(let byte): instructions.append(.byte(byte))
        case .set(let set): instructions.append(.set(set))
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .wordBoundary(let isNegative): instructions.append(.wordBoundary(isNegative: isNegative))
        case .lineEnd: instructions.append(.lineEnd)
        case .look(let content, let isNegative):
            let start = instructions.count
            instructions.append(.accept)
            try compile(content)
            instructions.append(.accept)
            instructions[start] = .look(isNegative: isNegative, end: instructions.count)
        case .alternatives(let nodes):
            var ends: [Int] = []
            for (index, node) in nodes.enumerated() {
                let isLast = index == nodes.count - 1
                let choice = instructions.count
                if !isLast { instructions.append(.accept) }
                try compile(node)
                guard !isLast else { break }
                ends.append(instructions.count)
                instructions.append(.accept)
                instructions[choice] = .choose(choice + 1, instructions.count)
            }
            for end in ends { instructions[end] = .jump(instructions.count) }
        case .repetition(let inner, let least, let most, let kind):
            if case .set(let set) = inner, kind != .lazy {
                let givesBack = kind == .greedy && least != most
                instructions.append(.loop(set: set, least: least, most: most, givesBack: givesBack))
                return
            }
            for _ in 0..<least { try compile(inner) }
            if most == Self.unbounded {
                let start = instructions.count
                instructions.append(.accept)
                try compile(inner)
                instructions.append(.jump(start))
                instructions[start] = choice(kind, start + 1, instructions.count)
            } else {
                var choices: [Int] = []
                for _ in least..<most {
                    choices.append(instructions.count)
                    instructions.append(.accept)
                    try compile(inner)
                }
                for start in choices { instructions[start] = choice(kind, start + 1, instructions.count) }
            }
        }
    }

    private func choice(_ kind: Kind, _ inside: Int, _ behind: Int) -> SplitExpression.Instruction {
        kind == .lazy ? .choose(behind, inside) : .choose(inside, behind)
    }
}
