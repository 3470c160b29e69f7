import EttinFiles

/// A mixture as a YAML file describes it: its sources, how much comes from each, and how often a sample may be taken.
///
/// ```yaml
/// description: Code and prose
/// total_tokens: 10b        # for shares in percent
/// repeat_limit: 1          # for sources without one of their own; or none
/// sources:
///   - name: code
///     path: chunks/code    # the name unless given
///     percent: 80          # or tokens: 8b; all of it, once, without either
///   - name: prose
///     percent: 20
///     repeat_limit: 4
/// ```
public struct MixtureRecipe: Hashable, Sendable {
    /// What the mixture is.
    public var description: String
    /// The sources; their inputs are paths that are not yet joined to a folder.
    public var sources: [MixStage.Source]
    /// The tokens of all sources with a proportion together; nil when there is none.
    public var totalTokens: Int?

    /// Creates a recipe.
    ///
    /// - Parameters:
    ///   - description: What the mixture is.
    ///   - sources: The sources.
    ///   - totalTokens: The tokens of all sources with a proportion together.
    public init(description: String = "", sources: [MixStage.Source], totalTokens: Int? = nil) {
        self.description = description
        self.sources = sources
        self.totalTokens = totalTokens
    }

    /// Reads a recipe.
    ///
    /// - Parameter path: A YAML file.
    /// - Throws: `CorpusError` naming file, line and key when it cannot be read or is no recipe.
    public init(path: String) throws {
        let bytes = try CorpusError.translating {
            try MappedFile(path: path).withUnsafeBytes { Array($0) }
        }
        self = try MixtureRecipeParser(name: path).recipe(bytes)
    }

    /// The same mixture with another number of tokens: every source keeps its share of the whole.
    ///
    /// - Parameter tokens: The tokens of all sources together.
    /// - Returns: The recipe with proportions.
    /// - Throws: `CorpusError` when a source has no share to keep.
    public func scaled(toTokens tokens: Int) throws -> MixtureRecipe {
        var scaled = self
        for index in sources.indices {
            switch sources[index].share {
            case .tokens(let count): scaled.sources[index].share = .proportion(Double(count))
            case .proportion: break
            case .all:
                throw CorpusError(
                    .invalidOption,
                    file: "total tokens",
                    found: "are given, but source \(shown(sources[index].name)) is taken whole",
                    expected: "a share for every source"
                )
            }
        }
        scaled.totalTokens = tokens
        return scaled
    }

    /// The mixture with its data sets in a folder.
    ///
    /// - Parameter folder: Where relative paths start; nil for the working folder.
    /// - Returns: The stage, whose order and type of ids are the defaults.
    public func mixture(ofDataIn folder: String? = nil) -> MixStage {
        let sources = sources.map { source in
            var source = source
            if let folder, !source.input.hasPrefix("/") { source.input = FilePath.joined(folder, source.input) }
            return source
        }
        return MixStage(sources: sources, totalTokens: totalTokens)
    }
}

/// The recipes that come with the library: the mixtures of the suite's three phases.
public enum PublishedRecipe: String, CaseIterable, Sendable {
    /// 1.7 trillion tokens of everything.
    case pretraining
    /// 250 billion tokens in longer chunks.
    case `extension`
    /// 76 billion tokens of the best sources.
    case decay

    /// The YAML text.
    package var text: String {
        let bytes =
            switch self {
            case .pretraining: PackageResources.pretraining_yaml
            case .extension: PackageResources.extension_yaml
            case .decay: PackageResources.decay_yaml
            }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The recipe.
    ///
    /// - Returns: Sources named as the folders of the published data, where these are known.
    /// - Throws: `CorpusError` when the text is no recipe.
    public func recipe() throws -> MixtureRecipe {
        try MixtureRecipeParser(name: rawValue).recipe(Array(text.utf8))
    }
}
