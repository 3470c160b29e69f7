import EttinFiles
package import EttinModel
import EttinRecipes
import EttinTraining

/// One run of a suite.
package struct SuiteRun: QueuedRun, Hashable, Sendable {
    /// The name of the model, such as `ettin-encoder-17m`.
    package let model: String
    /// The kind that is trained.
    package let kind: ModelKind
    /// The size, as the suite names it.
    package let size: String
    /// The phase.
    package let phase: SuiteFile.Phase
    /// The recipe.
    package let recipePath: String
    /// What the suite sets in the recipe.
    package let overrides: [String]
    /// The folder of the run.
    package let outputFolder: String
    /// The folders of the runs that must be finished before.
    package let dependencies: [String]

    /// The recipe as this run has it.
    ///
    /// - Parameter more: Values that replace the suite's, as `key.sub=value`.
    /// - Returns: The recipe.
    /// - Throws: `TrainingError` as reading a recipe does.
    package func recipe(overrides more: [String] = []) throws -> PretrainingRecipe {
        try PretrainingRecipe(path: recipePath, overrides: overrides + more)
    }
}

extension SuiteFile {
    /// All runs, each after those that it depends on: size by size, the two kinds of a phase side by side.
    package var runs: [SuiteRun] {
        sizes.flatMap { size in
            let own = phases.flatMap { phase in kinds.map { run(size, $0, phase) } }
            return trainsAcross ? own + kinds.map { run(size, $0, .cross) } : own
        }
    }

    /// Checks that every run's recipe is there and can be run, before the first one starts.
    ///
    /// - Throws: `TrainingError` naming the recipe.
    package func check() throws {
        for run in runs { try run.recipe().checkRunnable() }
    }

    private func run(_ size: String, _ kind: ModelKind, _ phase: Phase) -> SuiteRun {
        let folder = folder(size, kind, phase)
        var overrides = [
            "run_name=\(YAMLNode.quotedText("\(modelName(size, kind, phase))-\(phase.tag.rawValue)"))",
            "phase=\(phase.tag.rawValue)",
            "save_folder=\(YAMLNode.quotedText(folder))",
        ]
        if let path = data[phase] { overrides.append("data_local=\(YAMLNode.quotedText(path))") }
        if let tokenizer { overrides.append("tokenizer_name=\(YAMLNode.quotedText(tokenizer))") }
        let source = source(size, kind, phase)
        if let source { overrides.append("load_path=\(YAMLNode.quotedText(FilePath.joined(source.folder, "latest")))") }
        let file =
            switch (phase, kind) {
            case (.cross, .encoder): "encoder-from-decoder"
            case (.cross, .decoder): "decoder-from-encoder"
            case (_, .encoder): "encoder-\(phase.rawValue)"
            case (_, .decoder): "decoder-\(phase.rawValue)"
            }
        return SuiteRun(
            model: modelName(size, kind, phase),
            kind: kind,
            size: size,
            phase: phase,
            recipePath: FilePath.joined(FilePath.joined(recipesFolder, size), file + ".yaml"),
            overrides: overrides + self.overrides,
            outputFolder: folder,
            dependencies: source.map { $0.isOurs ? [$0.folder] : [] } ?? []
        )
    }

    /// Where a run's weights come from, and whether that is a run of this suite or must be there already.
    private func source(_ size: String, _ kind: ModelKind, _ phase: Phase) -> (folder: String, isOurs: Bool)? {
        let before: (kind: ModelKind, phase: Phase)
        switch phase {
        case .pretrain: return nil
        case .extension: before = (kind, .pretrain)
        case .decay: before = (kind, .extension)
        case .cross: before = (kind == .encoder ? .decoder : .encoder, phases.last ?? .decay)
        }
        return (folder(size, before.kind, before.phase), phases.contains(before.phase))
    }

    private func modelName(_ size: String, _ kind: ModelKind, _ phase: Phase) -> String {
        let role =
            switch (phase, kind) {
            case (.cross, .encoder): "enc-from-dec"
            case (.cross, .decoder): "dec-from-enc"
            case (_, .encoder): "encoder"
            case (_, .decoder): "decoder"
            }
        return "\(name)-\(role)-\(size)"
    }

    private func folder(_ size: String, _ kind: ModelKind, _ phase: Phase) -> String {
        FilePath.joined(FilePath.joined(outputFolder, modelName(size, kind, phase)), phase.tag.rawValue)
    }
}
