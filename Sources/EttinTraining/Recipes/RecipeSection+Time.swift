package import EttinRecipes

extension RecipeSection {
    /// A time, in the units that make sense at the key.
    package func time(_ key: String, in units: [TrainingTime.Unit] = TrainingTime.Unit.allCases) throws -> TrainingTime?
    {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content else { throw wrong(key, node, "a time such as 100ba") }
        let time = try TrainingTime(parsing: text, key: Self.place(name, node.line, Self.joined(path, key)))
        guard units.contains(time.unit) else {
            throw problem(key, "is \(time)", "a time in \(units.map(\.rawValue).joined(separator: ", "))")
        }
        return time
    }

    /// Calls a check that knows keys but not the file, and says of which file it complains.
    package func naming(_ check: () throws -> Void) throws {
        do {
            try check()
        } catch let error as TrainingError {
            throw TrainingError(error.kind, "\(name): \(error.place)", found: error.found, expected: error.expected)
        }
    }
}
