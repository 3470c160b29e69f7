import EttinJSON

/// Changes JSON value by value, so that what comes out is JSON of nearly the right form.
struct JSONMutation {
    /// Keys and strings that may appear in place of others, beside those of the document.
    var words: [String] = []

    /// Changes up to four values; mostly one.
    func mutated(_ value: JSONValue, _ dice: inout Dice) -> JSONValue {
        var value = value
        for _ in 0..<dice.pick([0, 1, 1, 1, 1, 2, 2, 3, 4]) {
            let target = dice.below(Self.count(value))
            var index = 0
            value = edited(value, &index, target, root: value, &dice)
        }
        return value
    }

    /// Changes a document and writes it, at times with bytes changed.
    func mutated(_ document: [UInt8], _ dice: inout Dice) -> [UInt8] {
        guard let value = try? JSONValue(parsing: document) else { return ByteMutation.mutated(document, &dice) }
        let written = Self.written(mutated(value, &dice))
        return dice.chance(0.1) ? ByteMutation.mutated(written, &dice) : written
    }

    static func written(_ value: JSONValue) -> [UInt8] {
        value.serialized(JSONWritingOptions(writesNonFiniteNumbers: true))
    }

    private static func count(_ value: JSONValue) -> Int {
        switch value {
        case .array(let items): items.reduce(1) { $0 + count($1) }
        case .object(let object): object.reduce(1) { $0 + count($1.value) }
        default: 1
        }
    }

    private func edited(
        _ value: JSONValue,
        _ index: inout Int,
        _ target: Int,
        root: JSONValue,
        _ dice: inout Dice
    ) -> JSONValue {
        let own = index
        index += 1
        if own == target { return changed(value, root: root, &dice) }
        switch value {
        case .array(let items):
            var result: [JSONValue] = []
            for item in items { result.append(edited(item, &index, target, root: root, &dice)) }
            return .array(result)
        case .object(let object):
            var result: [(String, JSONValue)] = []
            for member in object {
                result.append((member.key, edited(member.value, &index, target, root: root, &dice)))
            }
            return .object(JSONObject(result))
        default: return value
        }
    }

    private func changed(_ value: JSONValue, root: JSONValue, _ dice: inout Dice) -> JSONValue {
        if dice.chance(0.12) { return anything(root, &dice) }
        switch value {
        case .null: return anything(root, &dice)
        case .bool(let flag): return dice.chance(0.8) ? .bool(!flag) : anything(root, &dice)
        case .number(let number):
            guard dice.chance(0.7) else {
                let near = (number.int ?? 0).addingReportingOverflow(dice.pick([-1, 1, 2, -2, 10])).partialValue
                return .number(JSONNumber(near))
            }
            return hostileNumber(&dice)
        case .string(let text):
            switch dice.below(4) {
            case 0: return .string(dice.pick(Hostile.words))
            case 1: return .string(text + dice.pick(Hostile.words))
            case 2: return .string(dice.pick(Hostile.numbers))
            default: return .string(dice.pick(words + Self.keys(root) + [text]))
            }
        case .array(var items):
            let place = dice.below(max(1, items.count))
            switch dice.below(6) {
            case 0 where !items.isEmpty: items.remove(at: place)
            case 1 where !items.isEmpty: items.insert(items[place], at: place)
            case 2 where !items.isEmpty: items.swapAt(place, dice.below(items.count))
            case 3 where !items.isEmpty:
                items += Array(repeating: items[place], count: dice.pick([10, 100, 1000]))
            case 4: items = []
            default: items.insert(anything(root, &dice), at: min(place, items.count))
            }
            return .array(items)
        case .object(var object):
            let members = object.map { ($0.key, $0.value) }
            guard !members.isEmpty else { return anything(root, &dice) }
            let place = dice.below(members.count)
            let name = dice.pick(words + Self.keys(root) + Hostile.words)
            switch dice.below(5) {
            case 0: object[members[place].0] = nil
            case 1: object[name] = members[place].1
            case 2: object[name] = anything(root, &dice)
            case 3:
                object = JSONObject(
                    members.enumerated().map { ($0.offset == place ? name : $0.element.0, $0.element.1) }
                )
            default: object[members[place].0] = members[dice.below(members.count)].1
            }
            return .object(object)
        }
    }

    private func hostileNumber(_ dice: inout Dice) -> JSONValue {
        if dice.chance(0.05) { return .number(JSONNumber(dice.pick([Double.nan, .infinity, -.infinity]))) }
        return JSONNumber(spelling: dice.pick(Hostile.numbers)).map { .number($0) } ?? 0
    }

    private func anything(_ root: JSONValue, _ dice: inout Dice) -> JSONValue {
        switch dice.below(9) {
        case 0: return .null
        case 1: return .bool(dice.chance(0.5))
        case 2: return hostileNumber(&dice)
        case 3: return .string(dice.pick(words + Hostile.words))
        case 4: return .array([])
        case 5: return .object([:])
        case 6:
            // Deep, at times too deep.
            return (0..<dice.pick([3, 60, 600])).reduce(hostileNumber(&dice)) { value, _ in .array([value]) }
        default: return dice.pick(Self.parts(root))
        }
    }

    private static func keys(_ value: JSONValue) -> [String] {
        switch value {
        case .array(let items): items.prefix(8).flatMap(keys)
        case .object(let object): object.prefix(32).flatMap { [$0.key] + keys($0.value) }
        default: []
        }
    }

    private static func parts(_ value: JSONValue) -> [JSONValue] {
        switch value {
        case .array(let items): [value] + items.prefix(8).flatMap(parts)
        case .object(let object): [value] + object.prefix(32).flatMap { parts($0.value) }
        default: [value]
        }
    }
}
