import EttinFiles
import EttinJSON
import EttinTraining

/// In what the recipe of a run that is resumed differs from the one that `run.json` keeps.
struct RecipeChanges {
    /// A key with another value.
    struct Change: Hashable {
        let key: String
        let rule: ResumeRule
        let old: String
        let new: String
    }

    let changes: [Change]

    /// Compares two recipes by the values in force.
    init(from old: PretrainingRecipe, to new: PretrainingRecipe) {
        changes = RecipeKeyRule.all.compactMap { key in
            guard let value = key.value else { return nil }
            let (before, after) = (value(old), value(new))
            return before == after ? nil : Change(key: key.key, rule: key.rule, old: before, new: after)
        }
    }

    /// Whether there is a change that only an explicit word allows.
    var needsAcceptance: Bool { changes.contains { $0.rule == .needsAcceptance } }

    /// Whether a key has another value.
    func contains(_ key: String) -> Bool { changes.contains { $0.key == key } }

    /// Refuses what may not change without an explicit word.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Throws: `TrainingError` naming all such keys with both values.
    func check(in folder: RunFolder) throws {
        let refused = changes.filter { $0.rule == .needsAcceptance }
        guard let first = refused.first else { return }
        let others = refused.dropFirst().map { "; \($0.key) is \($0.new) instead of \($0.old)" }.joined()
        throw TrainingError(
            .invalidOption,
            first.key,
            found: "is \(first.new), but the run in \(folder.path) has \(first.old)\(others)",
            expected: "the same, --accept-changes to resume with the new value\(refused.count > 1 ? "s" : ""), "
                + "or another save_folder"
        )
    }

    /// What to tell about the changes, a line for each.
    var notices: [String] {
        changes.map { change in
            let end =
                switch change.rule {
                case .spent: "; without effect on a run that has begun"
                case .needsAcceptance: ", by --accept-changes"
                default: ""
                }
            return "changed on resume: \(change.key) is \(change.new) instead of \(change.old)\(end)"
        }
    }
}

/// What `run.json` says of a run that is resumed.
struct EarlierRun {
    /// Its recipe; nil where the file holds none that can be read.
    private(set) var recipe: PretrainingRecipe?
    /// Why there is no recipe to compare with.
    private(set) var problem: String?
    private(set) var threads: Int?
    private(set) var torch: String?

    /// Reads the file; whatever is wrong with it does not keep a run from being resumed.
    init(_ folder: RunFolder) {
        let path = folder.description
        guard FilePath.exists(path) else {
            problem = "it is missing"
            return
        }
        do {
            let file = try TrainingError.translating { try MappedFile(path: path) }
            let value = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
            (threads, torch) = (value["threads"]?.intValue, value["torch"]?.stringValue)
            guard value["recipe"]?.objectValue?.isEmpty == false else {
                problem = "it holds no recipe"
                return
            }
            recipe = try PretrainingRecipe(resolved: value["recipe"] ?? .null, name: path)
        } catch {
            problem = "its recipe cannot be read (\(error))"
        }
    }

    /// What differs in the machinery that computes, whose sums may then differ in their last bits.
    func notices(threads now: Int, torch version: String) -> [String] {
        var notices: [String] = []
        if let threads, threads != now {
            notices.append(
                "changed on resume: \(now) threads instead of \(threads); losses may differ in their last bits "
                    + "(--threads \(threads) keeps them)"
            )
        }
        if let torch, torch != version {
            notices.append(
                "changed on resume: libtorch \(version) instead of \(torch); losses may differ in their last bits"
            )
        }
        return notices
    }
}
