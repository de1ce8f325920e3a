"""What Jupyter shows: scikit-learn's parameters, and once fitted the network and its losses."""

import base64
from xml.etree import ElementTree

import pytest
from html_page import Page
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from layernet import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)


def test_unfitted_it_is_scikit_learns_own():
    html = MLPClassifier(alpha=0.5)._repr_html_()
    assert "alpha" in html
    assert "layernet-fit" not in html


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_it_has_the_network_and_the_losses():
    classifier = MLPClassifier((7,), max_iter=5, early_stopping=True, random_state=0).fit(X, Y)
    html = classifier._repr_mimebundle_()["text/html"]
    assert "Dense(7)" in html
    assert html.count("<polyline") == 2
    page = Page.read(html[html.rindex("<style>") :])
    assert "validation loss, on a logarithmic scale, after 5 epochs" in page.text
    assert page.all("svg")[0]["aria-label"] == "Losses over the epochs"
    assert MLPRegressor(solver="lbfgs", max_iter=3).fit(X, Y)._repr_html_().count("<polyline") == 1
    one_epoch = MLPClassifier((7,)).partial_fit(X, Y, classes=[0, 1, 2])
    assert "<polyline" not in one_epoch._repr_html_()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_losses_are_an_image_as_well(early_stopping):
    model = MLPClassifier((7,), max_iter=5, early_stopping=early_stopping, random_state=0)
    assert set(model._repr_mimebundle_()) == {"text/plain", "text/html"}
    bundle = model.fit(X, Y)._repr_mimebundle_()
    root = ElementTree.fromstring(bundle["image/svg+xml"])
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}polyline")
    assert [len(line.get("points").split()) for line in lines] == [5] * (1 + early_stopping)
    assert "training loss from" in root.find(f"{space}title").text
    assert "(dashed)" in bundle["image/svg+xml"] or not early_stopping
    html = bundle["text/html"][bundle["text/html"].rindex("<style>") :]
    (image,) = Page.read(html).all("img")
    assert image["alt"].startswith("training loss from ")
    assert base64.b64decode(image["src"].partition(",")[2]).decode() == bundle["image/svg+xml"]
    with config_context(display="text"):
        assert set(model._repr_mimebundle_()) == {"text/plain"}
    assert "image/svg+xml" not in MLPClassifier((7,), max_iter=1).fit(X, Y)._repr_mimebundle_()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_pipeline_the_diagram_stays_scikit_learns():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((7,), max_iter=5)).fit(X, Y)
    assert "MLPClassifier" in pipeline._repr_html_()
