"""Logits written down once, in float64 and far from any decision boundary.

φ is moved from where it starts by a formula, so that every part of it takes part.
`test_formulas.py` derives the same numbers independently.
"""

import pytest
import torch

from medfs.workflows.registries import MAPPERS

GOLDEN = {
    "prototype": [
        [3.6756398343238845, -4.554044171903871, -10.215857738985214],
        [-6.295240253690197, 2.7083646172014557, -7.50738644007646],
        [-10.2634049271029, -5.790408249255036, 4.959551099792745],
    ],
    "ridge": [
        [4.101899525799311, -1.8012999924882045, -2.300599533311108],
        [-2.0983875377521746, 3.949572390048781, -1.8511848522966066],
        [-2.4004424832402065, -2.0247258708957574, 4.425168354135966],
    ],
    "simpleshot": [
        [9.884504005875835, -3.174517430737192, -6.816294292488742],
        [-3.569577336422415, 9.840387997153176, -4.195870557070759],
        [-6.939255576023351, -4.460823966711998, 9.950491386347277],
    ],
    "simpleshot population": [
        [12.144548542402589, 1.5374179851793288, -10.90230585243405],
        [1.8983187052571302, 12.04485220137646, -6.371477124462585],
        [-11.037225720054916, -6.346950088073275, 12.091159528685655],
    ],
    "r2d2": [
        [2.5905905550461164, -0.8955458768501106, -1.6950446781960053],
        [-1.1687166342941344, 1.8608902039490993, -0.6921735696549656],
        [-1.4667337423360234, -0.846851312937257, 2.313585055273281],
    ],
    "r2d2 population": [
        [2.1888724393456696, -0.8996129273152516, -1.2892595120304176],
        [-0.9776458401503705, 2.091966445476727, -1.1143206053263566],
        [-1.3808010877037267, -1.2053198016791105, 2.586120889382837],
    ],
    "simple-cnaps": [
        [-0.06081199108544978, -2.521282501722292, -3.7643949709272144],
        [-2.7420272803323265, -0.06365659222030988, -5.366781011349543],
        [-4.4595651818125415, -5.698644801298092, -0.02353905178329274],
    ],
    "simple-cnaps population": [
        [-0.07312271202433736, -1.5097541110738424, -3.8046785764662436],
        [-1.668987803491701, -0.06516477804958198, -5.095739769981742],
        [-4.410368414332051, -5.485646131942459, -0.02960122001546506],
    ],
    "maml": [
        [2.8597967262196833, -2.1582443537538665, -6.074467490419128],
        [-3.9947301277497225, 0.8284509322410394, -2.5799236215075103],
        [-6.490923129316737, -0.961549214260363, 4.08196361040345],
    ],
    "maml population": [
        [2.4366972321829747, -1.3651948841961332, -4.753782818697718],
        [-2.1935290253093758, 1.144790945051566, -2.187831603805786],
        [-4.723740827137216, -1.559064451926027, 3.0877699689577804],
    ],
    "anil": [
        [1.2980661982498958, -1.4946003920081914, -3.191106368354263],
        [-2.0271362987466537, 1.0027920366883862, -2.3632963000542917],
        [-3.21742661106389, -1.842372063164079, 1.6721581121154128],
    ],
    "anil population": [
        [1.2406587816593613, -0.9157558279481705, -2.90728173179261],
        [-1.2813058324405189, 1.093943283966036, -2.303849661689294],
        [-3.2618012105689997, -1.93685315137563, 1.4649254499211992],
    ],
    "hyper": [
        [2.1021557692138555, -0.9211674100368449, -1.1452047799190104],
        [-0.8347401337662118, 1.8180593009958173, -0.834009284118576],
        [-1.5021997020525166, -0.7894838930494978, 2.1476866483102364],
    ],
    "hyper population": [
        [3.39429911999664, -1.5347845618197942, -1.714429675065854],
        [-1.5250473115616643, 2.880935615898395, -1.2771611504483023],
        [-2.0465619143755256, -1.2111173902449122, 3.1382330146053232],
    ],
    "prototype population": [
        [2.166676218300596, -1.1315812201515412, -5.646904805069452],
        [-1.8090160549113445, 1.730805155398453, -3.851515830234416],
        [-7.098600867126443, -3.614243953069283, 2.1978936309122945],
    ],
}
# In units of the support, and in those of a population with a network behind.
LEARNED = ("simpleshot", "r2d2", "simple-cnaps", "maml", "anil", "hyper")


def _moved(name, seen):
    options = {"embedding": "population", "hidden": 3} if seen == "population" else {}
    mapper = MAPPERS.load(name)(4, **options).double()
    with torch.no_grad():
        for i, parameter in enumerate(mapper.parameters()):
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.add_(0.2 * torch.cos(1.3 * steps + i).reshape(parameter.shape))
        if seen == "population":
            mapper.embedding.mean.copy_(torch.tensor([0.1, 0.5, 0.3, 11.0]))
            mapper.embedding.spread.copy_(torch.tensor([0.9, 1.0, 1.4, 1.2]))
    return mapper


def test_every_mapper_of_medfs_has_golden_values():
    own = {e.name for e in MAPPERS.entries().values() if e.provider == "medfs"}
    assert {name.split()[0] for name in GOLDEN} == own
    assert {name for name in GOLDEN if name.endswith(" population")} == {
        f"{name} population" for name in (*LEARNED, "prototype")
    }


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_logits_are_those_of_the_first_release(tasks, name):
    method, *seen = name.split()
    mapper = MAPPERS.load(method)(4) if method == "ridge" else _moved(method, "".join(seen))
    logits = mapper(tasks.support()).logits(tasks.query)
    assert logits.dtype == torch.float64
    expected = torch.tensor(GOLDEN[name], dtype=torch.float64)
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-6)
    assert logits.argmax(dim=1).tolist() == [0, 1, 2]
