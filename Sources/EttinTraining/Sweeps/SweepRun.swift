import EttinFiles
import EttinRecipes
import Torch

/// One run of a sweep.
package struct SweepRun: QueuedRun, Hashable, Sendable {
    /// A value of a parameter, as an override has it.
    package struct Value: Hashable, Sendable {
        package let key: String
        package let text: String
    }

    /// The name of its folder, such as `optimizer.lr=1e-3,seed=1`.
    package let name: String
    /// Its recipe.
    package let recipe: SweepRecipe
    /// What distinguishes it from others of the sweep, its seed excepted: `recipe` where there are several, parameters.
    package let setting: [Value]
    /// Its seed; nil for that of the recipe.
    package let seed: Int?
    /// The folder of the run.
    package let outputFolder: String
    /// What is set in the recipe.
    package let overrides: [String]
    /// The folders of the runs whose finished models it takes.
    package let dependencies: [String]
}

extension SweepFile {
    /// All runs: recipe by recipe, setting by setting, each with every seed.
    ///
    /// A recipe that uses the model of another takes that of the same setting with the first seed.
    ///
    /// The first parameter of a grid changes slowest. A draw is a function of ``seed``, the parameter's key and the number
    /// of the draw: a larger `run_cap` adds settings to those that were there. Settings that were drawn before are drawn
    /// again, as they would train to the same bits; with few possible settings there may be fewer than `run_cap`.
    package var runs: [SweepRun] {
        let settings = settings
        return recipes.flatMap { recipe in
            settings.flatMap { setting in
                seeds.isEmpty ? [run(recipe, setting, seed: nil)] : seeds.map { run(recipe, setting, seed: $0) }
            }
        }
    }

    private var settings: [[SweepRun.Value]] {
        switch method {
        case .grid:
            var settings: [[SweepRun.Value]] = [[]]
            // From the last parameter on, so that no more than the first run_cap settings are ever made.
            for parameter in parameters.reversed() {
                let values = parameter.distribution.values(limit: Self.runLimit) ?? []
                let longer = values.lazy.flatMap { text in
                    settings.map { [SweepRun.Value(key: parameter.key, text: text)] + $0 }
                }
                settings = Array(longer.prefix(runCap ?? Self.runLimit))
            }
            return settings
        case .random:
            guard !parameters.isEmpty, let runCap else { return [[]] }
            let generators = parameters.map { $0.generator(seed: seed) }
            var settings: [[SweepRun.Value]] = []
            var known: Set<[SweepRun.Value]> = []
            var (index, repeatCount) = (UInt64(0), 0)
            // Where so many draws give nothing new, hardly anything is left.
            while settings.count < runCap, repeatCount < 1000 {
                let setting = zip(parameters, generators).map { parameter, generator in
                    SweepRun.Value(key: parameter.key, text: parameter.distribution.draw(generator, at: index))
                }
                index += 1
                if known.insert(setting).inserted {
                    settings.append(setting)
                    repeatCount = 0
                } else {
                    repeatCount += 1
                }
            }
            return settings
        }
    }

    private func run(_ recipe: SweepRecipe, _ values: [SweepRun.Value], seed: Int?) -> SweepRun {
        func named(_ recipe: String?) -> [SweepRun.Value] {
            (recipe.map { [SweepRun.Value(key: "recipe", text: $0)] } ?? []) + values
        }
        let name = Self.folderName(named(recipe.name), seed)
        let folder = FilePath.joined(outputFolder, name)
        let own = values.map { "\($0.key)=\($0.text)" } + (seed.map { ["\(Self.seedKey)=\($0)"] } ?? [])
        let place = "\(command.outputKey)=\(YAMLNode.quotedText(folder))"
        let used = recipe.uses.map { FilePath.joined(outputFolder, Self.folderName(named($0.text), seeds.first)) }
        let models = zip(recipe.uses, used).map { use, folder in
            "\(use.key)=\(YAMLNode.quotedText(FilePath.joined(folder, command.modelFolder)))"
        }
        return SweepRun(
            name: name,
            recipe: recipe,
            setting: named(recipe.name),
            seed: seed,
            outputFolder: folder,
            overrides: recipe.overrides + overrides + own + models + command.overrides + [place],
            dependencies: used
        )
    }

    /// Keys and values where they are plain enough for a folder, told apart by a hash where they are not.
    private static func folderName(_ setting: [SweepRun.Value], _ seed: Int?) -> String {
        let parts = setting.map { "\($0.key)=\($0.text)" } + (seed.map { ["\(seedKey)=\($0)"] } ?? [])
        let text = parts.joined(separator: ",")
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: ".,=_+-".utf8.contains(byte)
            }
        }
        if isPlain, text.utf8.count <= 120 { return text }
        let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let shown = text.unicodeScalars.prefix(90).map { scalar in
            scalar.isASCII && scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                || ".,=_+-".unicodeScalars.contains(scalar) ? String(scalar) : "_"
        }
        return shown.joined() + "-" + String(hash, radix: 16)
    }
}
