import ArgumentParser
import EttinModel

/// The folder of a model.
struct ModelArgument: ParsableArguments {
    @Argument(help: "The model's folder.", completion: .directory)
    var model: String

    /// The folder, which exists.
    ///
    /// - Throws: `CheckpointError` when it does not.
    func folder() throws -> String {
        try CheckpointFolder.require(model)
        return model
    }
}
