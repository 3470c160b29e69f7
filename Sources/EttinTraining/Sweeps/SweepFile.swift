import EttinFiles
import EttinRecipes

/// A command that trains from a recipe, as a sweep must know it.
package struct SweepCommand: Hashable, Sendable {
    /// The words behind `ettin`, such as `pretrain`.
    package let name: String
    /// The key of its recipes for the folder of the run.
    package let outputKey: String
    /// The name of the folder of the finished model in that of the run.
    package let modelFolder: String
    /// What a sweep sets in every recipe, as `key=value`, so that a run is resumed.
    package let overrides: [String]

    package init(name: String, outputKey: String, modelFolder: String, overrides: [String]) {
        (self.name, self.outputKey, self.modelFolder, self.overrides) = (name, outputKey, modelFolder, overrides)
    }
}

/// One recipe, or several, with several values for some of its keys, each run with several seeds.
///
/// ```yaml
/// command: pretrain                   # what `ettin` is called with
/// recipe: nano/encoder-pretrain.yaml  # from this file
/// output: runs/sweep                  # a folder for each run is made in it
/// method: grid                        # or random
/// metric: {name: metrics/eval/LanguageCrossEntropy, goal: minimize}
/// parameters:
///   optimizer.lr: {values: [1e-3, 3e-3]}
/// seeds: [1, 2, 3]                    # each setting is run with each
/// set: [max_duration=100ba]           # for all runs, as on the command line
/// ```
/// In place of `recipe`, `recipes` names several, each of which is run with each setting; one may take the finished model of
/// another that stands before:
///
/// ```yaml
/// recipes:
///   mnli: glue-mnli.yaml
///   rte: {recipe: glue-rte.yaml, uses: {transfer_from: mnli}}
/// ```
/// The keys, and those of a parameter, are those of Weights & Biases where it has one.
package struct SweepFile: Hashable, Sendable {
    /// How settings are made of the parameters.
    package enum Method: String, Hashable, Sendable, CaseIterable {
        /// Every combination of their values.
        case grid
        /// Draws.
        case random
    }

    /// What runs are compared by.
    package struct Metric: Hashable, Sendable {
        package enum Goal: String, Hashable, Sendable, CaseIterable {
            case minimize
            case maximize
        }

        /// Which of the values that a run measured stands for it.
        package enum Summary: String, Hashable, Sendable, CaseIterable {
            case last
            case best
        }

        /// The name under which runs log it.
        package let name: String
        package let goal: Goal
        package let summary: Summary
        /// Where the name stands, for messages.
        package let place: String

        /// Whether one value is better than another.
        package func isBetter(_ value: Double, than other: Double) -> Bool {
            goal == .minimize ? value < other : value > other
        }
    }

    /// Maximum number of runs.
    package static let runLimit = 10_000

    /// The file.
    package let path: String
    package let command: SweepCommand
    /// The recipes; one without a name, or those of `recipes`.
    package let recipes: [SweepRecipe]
    /// The folder of the runs' folders.
    package let outputFolder: String
    package let method: Method
    /// Nil for runs that are not compared.
    package let metric: Metric?
    package let parameters: [SweepParameter]
    /// Maximum number of settings; nil for all of a grid.
    package let runCap: Int?
    /// The seeds that each setting is run with; none for that of the recipe.
    package let seeds: [Int]
    /// The seed of the draws.
    package let seed: UInt64
    /// What is set in all recipes, as `key=value`.
    package let overrides: [String]

    /// The keys of a sweep file.
    package static let keys = [
        "command", "recipe", "recipes", "output", "method", "metric", "parameters", "run_cap", "seeds", "seed", "set",
    ]
    private static let metricKeys = ["name", "goal", "summary"]
    private static let schema = RecipeSchema(
        document: "a sweep",
        sections: [.init(path: "", keys: keys), .init(path: "metric", keys: metricKeys)]
    )
    /// The key of recipes for the seed of a run.
    static let seedKey = "seed"

    /// Reads a sweep.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace the file's, or those of its recipe, as `key=value`.
    ///   - commands: The commands that can be swept.
    /// - Throws: `TrainingError` naming file and key for what cannot be read, is unknown or impossible.
    package init(path: String, overrides: [String] = [], commands: [SweepCommand]) throws {
        self = try TrainingError.translatingRecipe { try SweepFile(reading: path, overrides, commands) }
    }

    private init(reading path: String, _ overrides: [String], _ commands: [SweepCommand]) throws {
        self.path = path
        var tree = try RecipeTree(path: path, document: "a sweep")
        // Keys of the sweep file are its own, all others are those of the recipe.
        let own = overrides.filter { text in
            Self.keys.contains { text.hasPrefix("\($0)=") || text.hasPrefix("\($0).") }
        }
        for text in own { try tree.override(text) }
        try tree.interpolate()
        let top = try RecipeSection(tree.root, path: "", name: path, schema: Self.keys, of: Self.schema)
        command = try Self.command(top, commands)
        recipes = try SweepRecipe.recipes(of: top, in: FilePath.folder(of: path), Self.schema)
        outputFolder = try top.require("output", try top.string("output"), "the folder of the runs' folders")
        method = try top.choice("method", Method.self) ?? .grid
        metric = try Self.metric(top)
        parameters = try SweepParameter.parameters(of: top, Self.schema)
        runCap = try top.int("run_cap", in: 1...Self.runLimit)
        seeds = try Self.seeds(top)
        seed = UInt64(try top.int("seed", in: 0...Int.max) ?? 0)
        self.overrides = try (top.textList("set") ?? []) + overrides.filter { !own.contains($0) }
        try check(top)
    }

    private static func command(_ top: RecipeSection, _ commands: [SweepCommand]) throws -> SweepCommand {
        let names = commands.map(\.name)
        let name = try top.require("command", try top.string("command"), names.joined(separator: " or "))
        guard let command = commands.first(where: { $0.name == name }) else {
            let near = SpellingSuggestion.nearest(name, names).map { "; did you mean \($0)?" } ?? ""
            throw top.problem("command", "is \(quoted(name))", names.joined(separator: " or ") + near)
        }
        return command
    }

    private static func metric(_ top: RecipeSection) throws -> Metric? {
        guard let node = top.node("metric") else { return nil }
        let section = try top.section("metric", metricKeys)
        let name = try section.require("name", try section.string("name"), "a name under which runs log it")
        return Metric(
            name: name,
            goal: try section.choice("goal", Metric.Goal.self) ?? .minimize,
            summary: try section.choice("summary", Metric.Summary.self) ?? .last,
            place: RecipeSection.place(section.name, node["name"]?.line, "metric.name")
        )
    }

    private static func seeds(_ top: RecipeSection) throws -> [Int] {
        var seeds: [Int] = []
        for text in try top.textList("seeds") ?? [] {
            guard let seed = RecipeSection.integer(text), seed >= 0 else {
                throw top.problem("seeds", "has \(quoted(text))", "whole numbers, 0 or more")
            }
            guard !seeds.contains(seed) else { throw top.problem("seeds", "has \(seed) twice", "each seed once") }
            seeds.append(seed)
        }
        return seeds
    }

    private func check(_ top: RecipeSection) throws {
        guard !parameters.isEmpty || !seeds.isEmpty || recipes.count > 1 else {
            throw top.missing("parameters", "keys of the recipe with their values; or seeds, or several recipes")
        }
        guard metric == nil || recipes[0].name == nil else {
            throw top.problem("metric", "stands beside recipes", "recipe: runs of different recipes are not compared")
        }
        for (key, name) in recipes.flatMap(\.uses).map({ ($0.key, $0.text) }) {
            guard parameters.contains(where: { $0.key == key }) else { continue }
            throw top.problem("parameters", "have \(key)", "no key that takes the model of \(name)")
        }
        let overrides = overrides + recipes.flatMap(\.overrides)
        for (key, what) in [(command.outputKey, "output")] + (seeds.isEmpty ? [] : [(Self.seedKey, "seeds")]) {
            if parameters.contains(where: { $0.key == key }) {
                throw top.problem("parameters", "have \(key)", "\(what) to say what it is in each run")
            }
            if let text = overrides.first(where: { $0.hasPrefix("\(key)=") }) {
                throw top.problem("set", "has \(quoted(text))", "\(what) to say what it is in each run")
            }
        }
        for (place, parameter) in parameters.enumerated() {
            if parameters[..<place].contains(where: { $0.key == parameter.key }) {
                throw top.problem("parameters", "have \(parameter.key) twice", "each key once")
            }
            if let text = overrides.first(where: { $0.hasPrefix("\(parameter.key)=") }) {
                throw top.problem("set", "has \(quoted(text))", "no key of parameters, which say what it is")
            }
        }
        switch method {
        case .random:
            guard runCap != nil || parameters.isEmpty else { throw top.missing("run_cap", "how many settings to draw") }
        case .grid:
            for parameter in parameters where parameter.distribution.values(limit: Self.runLimit) == nil {
                throw top.problem(
                    "parameters",
                    "have \(parameter.key) with distribution \(parameter.distribution.name.rawValue), "
                        + "which has too many values for a grid",
                    "values, a small int_uniform, or method: random"
                )
            }
        }
        let count = settingCount?.multiplied(checked: max(1, seeds.count))?.multiplied(checked: recipes.count)
        guard let count, count <= Self.runLimit else {
            let found = "make \(count.map { "\($0)" } ?? "too many") runs"
            throw top.problem("parameters", found, "at most \(Self.runLimit); run_cap takes the first settings alone")
        }
    }

    /// How many settings there are, at most; nil for more than can be counted.
    private var settingCount: Int? {
        guard method == .grid else { return runCap ?? 1 }
        let counts = parameters.map { $0.distribution.values(limit: Self.runLimit)?.count ?? 1 }
        let product = counts.reduce(Int?.some(1)) { $0?.multiplied(checked: $1) }
        guard let runCap else { return product }
        return min(product ?? .max, runCap)
    }
}
