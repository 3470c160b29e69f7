/// Finds the name that somebody may have meant.
package enum SpellingSuggestion {
    /// The nearest of several names, if one is near enough to be a slip of the finger, or begins so.
    package static func nearest(_ name: String, _ names: some Sequence<String>) -> String? {
        guard name.utf8.count <= 80 else { return nil }
        let near = names.map { (name: $0, distance: distance(Array(name.utf8), Array($0.utf8))) }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
        if let near, near.distance <= max(2, name.utf8.count / 3) { return near.name }
        return name.utf8.count >= 3 ? names.first { $0.hasPrefix(name) } : nil
    }

    /// The number of bytes to insert, remove or replace, or neighbours to exchange, that make one name of the other.
    package static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 1..<left.count + 1 {
            var current = [row]
            for column in 1..<right.count + 1 {
                let replaced = last[column - 1] + (left[row - 1] == right[column - 1] ? 0 : 1)
                var least = min(replaced, last[column] + 1, current[column - 1] + 1)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    least = min(least, beforeLast[column - 2] + 1)
                }
                current.append(least)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
