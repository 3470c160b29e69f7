import EttinCorpus
import EttinFiles
package import EttinModel
import EttinRecipes
import EttinTraining

/// Several runs as one file describes them: sizes × kinds × phases, each phase starting from the one before.
///
/// ```yaml
/// name: ettin                  # models are called NAME-encoder-SIZE, as the published ones
/// recipes: .                   # where the recipes are, from this file: SIZE/encoder-pretrain.yaml and so on
/// output: runs                 # where the models' folders go
/// sizes: [17m, 32m]
/// kinds: [encoder, decoder]
/// phases: [pretrain, extension, decay]
/// cross: true                  # each finished model trained on as the other kind, too
/// tokenizer: path              # for all recipes; by default their own
/// data: {pretrain: data/a, extension: data/b, decay: data/c}   # or one for all; by default their own
/// set: [device=cuda]           # for all recipes, as on the command line
/// ```
package struct SuiteFile: Hashable, Sendable {
    /// The steps on the way to a model.
    package enum Phase: String, Hashable, Sendable, CaseIterable {
        /// From new weights.
        case pretrain
        /// On longer sequences.
        case `extension`
        /// On the best data.
        case decay
        /// From a finished model of the other kind.
        case cross

        /// What the checkpoints' tags begin with, which is also the folder of the phase's run.
        package var tag: PretrainingPhase {
            switch self {
            case .pretrain, .cross: .step
            case .extension: .ext
            case .decay: .decay
            }
        }
    }

    /// What all models' names begin with.
    package let name: String
    /// The folder of the recipes.
    package let recipesFolder: String
    /// The folder of the models' folders.
    package let outputFolder: String
    /// The names of the sizes, which are folders of recipes.
    package let sizes: [String]
    /// The kinds.
    package let kinds: [ModelKind]
    /// The phases in their order, without `cross`.
    package let phases: [Phase]
    /// Whether each finished model is trained on as the other kind.
    package let trainsAcross: Bool
    /// The tokenizer; nil for the recipes' own.
    package let tokenizer: String?
    /// The data of each phase; a phase without one has its recipe's own.
    package let data: [Phase: String]
    /// What is set in all recipes, as `key=value`.
    package let overrides: [String]

    /// The keys of a suite file.
    package static let keys = [
        "name", "recipes", "output", "sizes", "kinds", "phases", "cross", "tokenizer", "data", "set",
    ]

    private static let schema = RecipeSchema(document: "a suite")

    /// Reads a suite.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace the file's, as `key=value`.
    /// - Throws: `TrainingError` naming file and key for what cannot be read, is unknown or impossible.
    package init(path: String, overrides: [String] = []) throws {
        self = try TrainingError.translatingRecipe { try SuiteFile(reading: path, overrides) }
    }

    private init(reading path: String, _ overrides: [String]) throws {
        var tree = try RecipeTree(path: path, document: "a suite")
        for text in overrides { try tree.override(text) }
        try tree.interpolate()
        let top = try RecipeSection(tree.root, path: "", name: path, schema: Self.keys, of: Self.schema)
        name = try Self.plainName(top, "name")
        let recipes = try top.string("recipes") ?? "."
        recipesFolder = recipes.hasPrefix("/") ? recipes : FilePath.joined(FilePath.folder(of: path), recipes)
        outputFolder = try top.require("output", try top.string("output"), "the folder of the models' folders")
        sizes = try Self.names(top, "sizes")
        kinds = try Self.names(top, "kinds").map { name in
            switch name {
            case "encoder": return .encoder
            case "decoder": return .decoder
            default: throw top.problem("kinds", "has \(quoted(name))", "encoder and decoder")
            }
        }
        let known = Phase.allCases.filter { $0 != .cross }
        let phases = try Self.names(top, "phases").map { name in
            guard let phase = known.first(where: { $0.rawValue == name }) else {
                throw top.problem("phases", "has \(quoted(name))", known.map(\.rawValue).joined(separator: ", "))
            }
            return phase
        }
        guard phases == known.filter(phases.contains) else {
            throw top.problem("phases", "are in another order", known.map(\.rawValue).joined(separator: ", "))
        }
        self.phases = phases
        trainsAcross = try top.bool("cross") ?? false
        if trainsAcross, kinds.count < 2 {
            throw top.problem("cross", "is true, but kinds has one kind", "both kinds, of which each becomes the other")
        }
        tokenizer = try top.string("tokenizer")
        data = try Self.data(top)
        self.overrides = try top.textList("set") ?? []
    }

    private static func plainName(_ top: RecipeSection, _ key: String) throws -> String {
        let name = try top.require(key, try top.string(key), "a name")
        guard FilePath.isPlainName(name) else { throw top.problem(key, "is \(quoted(name))", "a name for folders") }
        return name
    }

    private static func names(_ top: RecipeSection, _ key: String) throws -> [String] {
        let names = try top.require(key, try top.textList(key), "a list")
        guard !names.isEmpty else { throw top.problem(key, "is an empty list", "at least one") }
        for (place, name) in names.enumerated() {
            guard FilePath.isPlainName(name) else { throw top.problem(key, "has \(quoted(name))", "names of folders") }
            guard !names[..<place].contains(name) else { throw top.problem(key, "has \(name) twice", "each once") }
        }
        return names
    }

    private static func data(_ top: RecipeSection) throws -> [Phase: String] {
        guard let node = top.node("data") else { return [:] }
        if case .scalar = node.content {
            let path = try top.string("data") ?? ""
            return Dictionary(uniqueKeysWithValues: Phase.allCases.map { ($0, path) })
        }
        let section = try top.section("data", Phase.allCases.map(\.rawValue))
        var data: [Phase: String] = [:]
        for phase in Phase.allCases { data[phase] = try section.string(phase.rawValue) }
        return data
    }
}
