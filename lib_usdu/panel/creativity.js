// Keeps three sliders together: Creativity as it is shown, the option (hidden; 0: nobody asked for a Creativity), and
// the tab's denoising strength. What strengths mean stands in the live line: the share of noise at 0.00, 0.01 ... 1.00.
window.usduCreativity = (root, prefix) => {
    const ids = {
        held: prefix + 'creativity', shown: prefix + 'creativity_shown', strength: 'img2img_denoising_strength',
        steps: 'img2img_steps', cfg: 'img2img_cfg_scale',
    };
    const field = (name) => root.querySelector(`#${ids[name]} input[type=number]`);
    const put = (name, value) => {
        for (const input of root.querySelectorAll(`#${ids[name]} input`)) {
            input.value = value;
            input.dispatchEvent(new Event('input', {bubbles: true}));
        }
    };
    const near = (a, b) => Math.abs(a - b) < 1e-6;
    const shareOf = (shares, strength) => shares[Math.min(100, Math.max(0, Math.floor(strength * 100 + 1e-6)))];
    const strengthOf = (shares, share, now) => {  // as noise_share.py's NoiseShare.denoise
        let best = 1;
        for (let place = 2; place <= 100; place++) {
            if (Math.abs(shares[place] - share) < Math.abs(shares[best] - share) - 1e-6) best = place;
        }
        const stays = Math.abs(shareOf(shares, now) - share) <= Math.abs(shares[best] - share) + 1e-6;
        return stays ? now : best / 100;
    };
    let seen = null, busy = false;
    const look = () => {
        const text = root.querySelector(`#${prefix}plan [data-shares]`)?.dataset.shares;
        if (busy || !text || !field('held') || !field('shown') || !field('strength')) return;
        const shares = JSON.parse(text);
        const was = {
            held: Number(field('held').value), shown: Number(field('shown').value),
            strength: Number(field('strength').value), text,
        };
        const now = {...was};
        if (seen && near(was.held, seen.held)) {
            if (!near(was.shown, seen.shown)) now.held = was.shown;  // a person moved Creativity
            else if (!near(was.strength, seen.strength)) now.held = 0;  // or the strength
        }
        if (now.held) {
            now.strength = strengthOf(shares, now.held, was.strength);
            now.shown = now.held;
        } else {
            now.shown = Math.round(100 * shareOf(shares, now.strength)) / 100;
        }
        busy = true;
        for (const name of ['held', 'shown', 'strength']) if (!near(now[name], was[name])) put(name, now[name]);
        busy = false;
        seen = now;
    };
    const choose = (box, text) => {  // as a person would, of a list that opens when it is clicked
        const input = box?.querySelector('input');
        if (!input || input.value === text) return;
        const before = document.activeElement;
        input.focus();
        setTimeout(() => {
            const listed = [...box.querySelectorAll('ul li')];
            const option = listed.find((one) => (one.getAttribute('aria-label') || one.textContent).trim() === text);
            option?.dispatchEvent(new MouseEvent('mousedown', {bubbles: true, cancelable: true}));
            input.blur();
            before?.focus({preventScroll: true});
        }, 150);
    };
    const asked = () => {  // a checkpoint or LoRA of few steps burns out when it is asked like others
        const wanted = root.querySelector(`#${prefix}plan [data-few-steps]`)?.dataset.fewSteps;
        if (!wanted) return;
        const {steps, cfg_scale, sampling} = JSON.parse(wanted);
        put('steps', steps);
        put('cfg', cfg_scale);
        choose(root.querySelector('#img2img_sampling'), sampling);
    };
    const set = (creativity, strength) => {
        asked();
        if (root.querySelector(`#${prefix}plan [data-shares]`)) put('held', creativity);
        else put('strength', strength);
        look();
    };
    return {look, set};
};
