/// A dictionary that keeps the order in which keys came, as Python's does.
struct PythonDictionary: Equatable {
    /// What `keys()`, `values()` and `items()` give.
    enum View: String {
        case keys, values, items
    }

    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    private var positions: [Value: Int] = [:]

    init() {}

    var count: Int { keys.count }
    var items: [Value] { zip(keys, values).map { .tuple([$0, $1]) } }

    func elements(of view: View) -> [Value] {
        switch view {
        case .keys: keys
        case .values: values
        case .items: items
        }
    }

    private func position(of key: Value) -> Int? {
        // Messages have few keys, which are found sooner one by one.
        guard positions.isEmpty else { return positions[key] }
        return keys.firstIndex(of: key)
    }

    subscript(key: Value) -> Value? {
        get { position(of: key).map { values[$0] } }
        set {
            guard let newValue else { return }
            if let position = position(of: key) {
                values[position] = newValue
            } else {
                keys.append(key)
                values.append(newValue)
                if !positions.isEmpty {
                    positions[key] = keys.count - 1
                } else if keys.count > 12 {
                    for (position, key) in keys.enumerated() { positions[key] = position }
                }
            }
        }
    }

    subscript(name: String) -> Value? { self[.text(name)] }

    static func == (left: PythonDictionary, right: PythonDictionary) -> Bool {
        left.count == right.count && zip(left.keys, left.values).allSatisfy { right[$0] == $1 }
    }
}
