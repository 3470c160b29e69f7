import EttinFiles

/// The README of a model: metadata that the Hub reads, then text for people.
///
/// ```swift
/// var card = ModelCard(title: "my-encoder")
/// card.baseModel = "jhu-clsp/ettin-encoder-17m"
/// card.pipelineTag = "sentence-similarity"
/// card.recipe = [.init("learning rate", "8e-5"), .init("steps", "2000")]
/// try card.write(toFolder: "out/checkpoint")
/// ```
public struct ModelCard: Sendable {
    /// How a model came from its base.
    public enum Relation: String, Sendable, Hashable {
        /// Trained further.
        case finetune
        /// Extended by small matrices that go with the base.
        case adapter
        /// Stored with fewer bits.
        case quantized
        /// Several models made into one.
        case merge
    }

    /// A measured figure.
    public struct Metric: Sendable, Hashable {
        /// The task as the Hub names it, such as `text-retrieval`.
        package var task: String
        /// The task's name for people, such as `Information Retrieval`; nil for none.
        package var taskTitle: String?
        /// The data set's name for people, such as `MS MARCO`.
        package var dataset: String
        /// The data set's name on the Hub, when it has one.
        package var datasetID: String?
        /// The split that was measured on.
        package var split: String?
        /// The name of the figure, such as `ndcg@10`.
        package var name: String
        /// Its name for people, such as `Ndcg@10`; nil for none.
        package var title: String?
        /// The figure.
        package var value: Double

        /// Creates a figure.
        ///
        /// - Parameters:
        ///   - task: The task as the Hub names it.
        ///   - dataset: The data set's name for people.
        ///   - datasetID: The data set's name on the Hub.
        ///   - split: The split that was measured on.
        ///   - name: The name of the figure.
        ///   - value: The figure.
        public init(
            task: String,
            dataset: String,
            datasetID: String? = nil,
            split: String? = nil,
            name: String,
            value: Double
        ) {
            self.task = task
            self.dataset = dataset
            self.datasetID = datasetID
            self.split = split
            self.name = name
            self.value = value
        }
    }

    /// A heading of the table of the recipe, and what stands beside it.
    public struct Setting: Sendable, Hashable {
        /// What is set.
        package var name: String
        /// What it is set to.
        package var value: String

        /// Creates a line of the recipe.
        ///
        /// - Parameters:
        ///   - name: What is set.
        ///   - value: What it is set to.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A table under a heading of its own.
    public struct Section: Sendable, Hashable {
        /// The heading.
        package var title: String
        /// The heads of the table's columns.
        package var heads: [String]
        /// The rows, a cell for each column.
        package var rows: [[String]]

        /// Creates a section.
        ///
        /// - Parameters:
        ///   - title: The heading.
        ///   - heads: The heads of the table's columns.
        ///   - rows: The rows, a cell for each column.
        public init(title: String, heads: [String], rows: [[String]]) {
            self.title = title
            self.heads = heads
            self.rows = rows
        }
    }

    /// The name of the model.
    public var title: String
    /// A sentence or two on what it is for.
    public var summary = ""
    /// The licence as the Hub abbreviates it, such as `mit`; nil leaves it to the owner to choose one.
    public var license: String?
    /// The languages as two-letter codes.
    public var languages: [String] = []
    /// The task, such as `fill-mask` or `text-generation`.
    public var pipelineTag: String?
    /// The library that loads the files.
    public var libraryName = "transformers"
    /// Further tags.
    public var tags: [String] = []
    /// The data it was trained on, by names on the Hub.
    public var datasets: [String] = []
    /// The model it was made from, by its name on the Hub.
    public var baseModel: String?
    /// How it was made from it; nil for what the Hub has no word for.
    public var relation: Relation? = .finetune
    /// What was measured.
    public var metrics: [Metric] = []
    /// How it was trained.
    public var recipe: [Setting] = []
    /// Further tables, after all others.
    public var sections: [Section] = []
    /// The shell command or code that uses it.
    public var usage = ""
    /// The language of `usage`, for its colours.
    public var usageLanguage = "bash"

    /// Creates a card.
    ///
    /// - Parameter title: The name of the model.
    public init(title: String) {
        self.title = title
    }

    /// The name of the file.
    package static let fileName = "README.md"

    /// Writes the card beside a checkpoint, in place of one that is there.
    ///
    /// - Parameter folder: The folder of the checkpoint.
    /// - Throws: `CheckpointError` when the file cannot be written.
    public func write(toFolder folder: String) throws {
        let path = "\(folder)/\(Self.fileName)"
        do {
            try AtomicFile.write(Array(text.utf8), to: path)
        } catch let error as FileError {
            throw CheckpointError(.init(error.kind), file: quoted(path), found: "it \(error.found)")
        }
    }

    /// The whole file.
    public var text: String {
        "---\n" + metadata + "---\n\n" + body
    }

    // MARK: - Metadata

    private var metadata: String {
        var yaml = CardMetadata()
        if let license { yaml.add("license", license) }
        yaml.add("language", languages)
        yaml.add("library_name", libraryName)
        if let pipelineTag { yaml.add("pipeline_tag", pipelineTag) }
        yaml.add("tags", tags)
        yaml.add("datasets", datasets)
        if let baseModel {
            yaml.add("base_model", baseModel)
            if let relation { yaml.add("base_model_relation", relation.rawValue) }
        }
        yaml.add("metrics", metrics.map(\.name).uniqued())
        yaml.addResults(of: title, metrics)
        return yaml.text
    }

    // MARK: - Text

    private var body: String {
        var sections = ["# \(Self.inline(title))"]
        if !summary.isEmpty { sections.append(summary) }
        if let baseModel {
            sections.append("Made from `\(baseModel)`" + (relation.map { " (\($0.rawValue))" } ?? "") + ".")
        }
        if !usage.isEmpty { sections.append("## How to use\n\n```\(usageLanguage)\n\(usage)\n```") }
        if !datasets.isEmpty {
            sections.append("## Training data\n\n" + datasets.map { "- `\($0)`" }.joined(separator: "\n"))
        }
        if !recipe.isEmpty {
            sections.append(
                "## Training recipe\n\n"
                    + Self.table(["setting", "value"], recipe.map { [$0.name, $0.value] })
            )
        }
        if !metrics.isEmpty {
            let rows = metrics.map { metric in
                [metric.dataset + (metric.split.map { " (\($0))" } ?? ""), metric.name, "\(metric.value)"]
            }
            sections.append("## Evaluation\n\n" + Self.table(["data", "metric", "value"], rows))
        }
        for section in self.sections {
            sections.append("## \(Self.inline(section.title))\n\n" + Self.table(section.heads, section.rows))
        }
        return sections.joined(separator: "\n\n") + "\n"
    }

    private static func table(_ heads: [String], _ rows: [[String]]) -> String {
        let lines = [heads, heads.map { _ in "---" }] + rows
        return lines.map { "| " + $0.map(inline).joined(separator: " | ") + " |" }.joined(separator: "\n")
    }

    /// Text that stays in its cell and line.
    private static func inline(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 }).split(separator: "|", omittingEmptySubsequences: false)
            .joined(separator: "\\|")
    }
}

extension Array where Element: Hashable {
    /// The elements without those that occurred before.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
