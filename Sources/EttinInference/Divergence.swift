import EttinFiles
import EttinModel

/// Says why a model gives results that are NaN or infinite.
///
/// Nothing is looked at before there is such a result: reading all weights would cost as much as using them.
struct Divergence: Sendable {
    /// The model's folder.
    let folder: String
    private let isOfTraining: Bool

    /// Says it of a model whose weights are those of its folder.
    ///
    /// - Parameter folder: The model's folder.
    init(folder: String) {
        self.folder = folder
        isOfTraining = false
    }

    /// Says it of a model that is being trained, whose weights are no longer those of its folder.
    ///
    /// - Parameter folder: The folder that the model was loaded from.
    init(ofTraining folder: String) {
        self.folder = folder
        isOfTraining = true
    }

    /// The error for a result.
    ///
    /// - Parameters:
    ///   - result: What is not finite, such as `the embedding of text`.
    ///   - number: Which one it is, from 1; nil where it does not belong to a text.
    /// - Returns: An error that names the first tensor with NaN or infinity, if there is one.
    func error(_ result: String, number: Int? = nil) -> any Error {
        do {
            return InferenceError.nonFiniteResult(folder: folder, result: result, number: number, cause: try cause())
        } catch {
            return error
        }
    }

    private func cause() throws -> String {
        if isOfTraining { return "the training has diverged; lower the learning rate" }
        let parts = try CheckpointError.translating { try FilePath.names(inFolder: folder) }
        for part in [""] + parts.filter({ FilePath.kind(of: FilePath.joined(folder, $0)) == .folder }) {
            let path = part.isEmpty ? folder : FilePath.joined(folder, part)
            let forms = TensorStore.Form.allCases.map { FilePath.joined(path, $0.rawValue) }
            guard forms.contains(where: FilePath.exists) else { continue }
            guard let tensor = try TensorStore.open(folder: path).firstNonFiniteTensor() else { continue }
            return
                "the tensor \(quoted(tensor.name))\(part.isEmpty ? "" : " in \(part)") holds \(tensor.value): the training "
                + "that wrote it has diverged, use an earlier checkpoint"
        }
        return "every weight is finite, but values grow too large on the way"
    }
}
