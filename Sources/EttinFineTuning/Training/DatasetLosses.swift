import EttinFiles
package import EttinRecipes
import EttinTraining

/// The loss of a run, or one for each of its data sets.
package struct DatasetLosses<Loss> {
    /// The losses with the names of their data sets; nil for the loss of all.
    private let members: [(dataset: String?, loss: Loss)]

    /// Makes the losses of a recipe.
    ///
    /// - Parameters:
    ///   - recipe: What the recipe says of losses and data sets.
    ///   - example: The name of a loss, for messages.
    ///   - make: Makes a loss of what the recipe says, nil for nothing, and the key that it says it under.
    /// - Throws: `TrainingError` for a data set without a loss; what `make` throws.
    package init(
        _ recipe: FineTuningSettings,
        example: String,
        _ make: (_ node: YAMLNode?, _ path: String) throws -> Loss
    ) throws {
        guard let loss = recipe.loss, case .mapping(let losses) = loss.node.content, !losses.isEmpty,
            !losses.contains(where: { $0.key == "type" })
        else {
            members = [(nil, try make(recipe.loss?.node, "loss"))]
            return
        }
        let names = (recipe.trainData + recipe.evaluationData).compactMap(\.name)
        guard let stranger = losses.first(where: { !names.contains($0.key) }) else {
            if let missing = names.first(where: { name in !losses.contains { $0.key == name } }) {
                throw TrainingError(
                    .missing,
                    RecipeSection.place(loss.name, loss.node.line, "loss.\(missing)"),
                    found: "is not there",
                    expected: "a loss for each data set, or one with a type for all"
                )
            }
            for (key, sets) in [("train_dataset", recipe.trainData), ("eval_dataset", recipe.evaluationData)]
            where sets.contains(where: { $0.name == nil }) {
                throw TrainingError(
                    .invalidOption,
                    key,
                    found: "is a data set without a name, but loss has one for each name",
                    expected: "a mapping of names to data sets, with names of \(names.joined(separator: ", "))"
                )
            }
            members = try losses.map { ($0.key, try make($0.value, "loss.\($0.key)")) }
            return
        }
        throw TrainingError(
            .invalidOption,
            RecipeSection.place(loss.name, stranger.value.line, "loss.\(stranger.key)"),
            found: names.isEmpty ? "is not known, and \"type\" is not there" : "is not a data set",
            expected: names.isEmpty
                ? "the type of a loss, such as \(example)"
                : "type, or the names of the data sets: \(names.joined(separator: ", "))"
        )
    }

    /// The loss of a data set.
    ///
    /// - Parameter dataset: The name of the data set; nil for the only one.
    /// - Returns: The loss.
    package func callAsFunction(_ dataset: String?) -> Loss {
        (members.first { $0.dataset == dataset } ?? members[0]).loss
    }

    /// The losses.
    package var all: [Loss] { members.map(\.loss) }

    /// The names of the losses, and of what they wrap.
    ///
    /// - Parameter names: The names that a loss has, its own first.
    /// - Returns: The names of each loss.
    package func names(_ names: (Loss) -> [String]) -> LossNames { LossNames(members.map { names($0.loss) }) }
}

/// The classes of the losses of a run, those that they wrap included.
package struct LossNames: Sendable, Hashable {
    /// The classes of each loss, that of the loss itself first; none of them twice.
    private let losses: [[String]]

    /// Takes the classes of losses.
    ///
    /// - Parameter losses: The classes of each loss, that of the loss itself first.
    package init(_ losses: [[String]]) {
        var distinct: [[String]] = []
        for names in losses where !distinct.contains(names) { distinct.append(names) }
        self.losses = distinct
    }

    /// The classes, none of them twice.
    package var all: [String] {
        var all: [String] = []
        for name in losses.joined() where !all.contains(name) { all.append(name) }
        return all
    }

    /// The losses for reading, such as `MatryoshkaLoss of CoSENTLoss, TripletLoss`.
    package var text: String { losses.map { $0.joined(separator: " of ") }.joined(separator: ", ") }
}
