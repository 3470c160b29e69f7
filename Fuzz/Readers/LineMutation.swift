import Foundation

/// Changes YAML and JSON Lines line by line.
struct LineMutation {
    /// Values that may stand behind a key.
    var values: [String] = []

    func mutated(_ text: String, _ dice: inout Dice) -> [UInt8] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for _ in 0..<dice.pick([0, 1, 1, 1, 1, 2, 3]) { change(&lines, &dice) }
        let bytes = Array(lines.joined(separator: "\n").utf8)
        return dice.chance(0.1) ? ByteMutation.mutated(bytes, &dice) : bytes
    }

    private func change(_ lines: inout [String], _ dice: inout Dice) {
        let place = dice.below(lines.count)
        switch dice.below(60) {
        case 0: lines.insert(lines[dice.below(lines.count)], at: place)
        case 1: if lines.count > 1 { lines.remove(at: place) }
        case 2: lines.swapAt(place, dice.below(lines.count))
        case 3: lines[place] = dice.pick(["  ", "\t", " "]) + lines[place]
        case 4: lines[place] = String(lines[place].drop { $0 == " " })
        case 5: replaceNumber(in: &lines[place], with: dice.pick(Hostile.numbers))
        default:
            // A value behind its key, which most lines have.
            let keyed = lines.indices.filter { lines[$0].contains(": ") && !lines[$0].hasPrefix("#") }
            guard !keyed.isEmpty else { return }
            let line = dice.pick(keyed)
            guard let colon = lines[line].range(of: ": ") else { return }
            lines[line] = lines[line][..<colon.upperBound] + value(lines, keyed, &dice)
        }
    }

    private func value(_ lines: [String], _ keyed: [Int], _ dice: inout Dice) -> String {
        switch dice.below(8) {
        case 0, 1: return dice.pick(Hostile.numbers)
        case 2, 3: return dice.pick(Hostile.times)
        case 4:
            let other = lines[dice.pick(keyed)]
            let key = other.split(separator: ":").first.map { $0.filter { $0 != " " && $0 != "-" } } ?? "seed"
            return "${\(key)}"
        case 5:
            let other = lines[dice.pick(keyed)]
            return other.range(of: ": ").map { String(other[$0.upperBound...]) } ?? "null"
        case 6:
            return dice.pick([
                "null", "true", "[]", "{}", "[1, 2]", "~", "auto", "'", "&a [*a]", "!!int 3", "-1", "{a: 1}",
            ])
        default: return values.isEmpty ? dice.pick(Hostile.words.filter { !$0.contains("\0") }) : dice.pick(values)
        }
    }

    private func replaceNumber(in line: inout String, with number: String) {
        guard let start = line.firstIndex(where: \.isNumber) else { return }
        let end = line[start...].firstIndex { !$0.isNumber && $0 != "_" } ?? line.endIndex
        line.replaceSubrange(start..<end, with: number)
    }
}
